"""DequantizeLinear of constants: they stay in 8 or 4 bits in the package, and Core ML widens them when it loads the model or runs it.

MIL has two operators for it: `constexpr_affine_dequantize`, 8 bits and a scale for the tensor or each index of an axis (iOS 16), and
`constexpr_blockwise_shift_scale`, 8 or 4 bits and a scale for each block (iOS 18).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..onnx_node import Converter, OnnxNode, axes_of

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

NARROW = ("int8", "uint8", "int4", "uint4")


def packed_constant(array: Array) -> Array | None:
    """A constant of 8 or 4 bits as MIL has it; None for any other dtype. Those of 4 bits lie in bytes, and their dtype says so."""
    if array.dtype.name not in NARROW:
        return None
    if array.dtype.name.endswith("int8"):
        return array
    from coremltools.converters.mil.mil import types

    return array.astype(types.np_int4_dtype if array.dtype.name == "int4" else types.np_uint4_dtype)


def _dequantize(node: OnnxNode) -> Any:
    """int32 (a bias) becomes floats here: it is small, and MIL keeps none as it is."""
    import numpy

    data, scale = node.constant(0), node.constant(1)
    zero = node.constant(2) if node.has(2) else None
    if not data.ndim:
        raise node.refuse("a scalar is not converted")
    block, axis = node.attribute("block_size", 0), axes_of([node.attribute("axis", 1)], data.ndim)[0]
    if data.dtype == numpy.int32:
        along = _along(scale, data.ndim, axis)
        steps = data.astype(numpy.float64) - (0 if zero is None else _along(zero, data.ndim, axis))
        return (steps * along).astype(scale.dtype)
    if not block and _bits(data) == 8:
        zero = numpy.zeros((), data.dtype) if zero is None else zero
        return _affine(node.api, data, _least(zero), _least(scale), axis if scale.size > 1 else 0)
    if block and data.shape[axis] % block:
        raise node.refuse(f"{data.shape[axis]} elements are no whole number of blocks of {block}, as Core ML wants them")
    if not block:
        scale, zero = _along(scale, data.ndim, axis), None if zero is None else _along(zero, data.ndim, axis)
    return _blockwise(node.api, data, scale, zero)


def turned(mb: Any, value: Any, factor: float, turn: bool) -> Any | None:
    """Of a matrix that stays packed: transposed if asked for, and times a factor. None for another value."""
    kind = getattr(getattr(value, "op", None), "op_type", "")
    if kind == "constexpr_affine_dequantize":
        data, scale, axis = value.op.quantized_data.val, _times(value.op.scale.val, factor), int(value.op.axis.val)
        if turn:
            data, axis = data.T, 1 - axis
        return _affine(mb, data, value.op.zero_point.val, scale, axis)
    if kind == "constexpr_blockwise_shift_scale":
        zero = None if value.op.offset is None else value.op.offset.val
        data, scale = value.op.data.val, _times(value.op.scale.val, factor)
        return _blockwise(mb, *((data.T, scale.T, None if zero is None else zero.T) if turn else (data, scale, zero)))
    return None


def _affine(mb: Any, data: Array, zero: Array, scale: Array, axis: int) -> Any:
    import numpy

    return mb.constexpr_affine_dequantize(quantized_data=data, zero_point=zero, scale=scale, axis=numpy.int32(axis))


def _blockwise(mb: Any, data: Array, scale: Array, zero: Array | None) -> Any:
    given = {} if zero is None or not zero.any() else {"offset": zero}
    return mb.constexpr_blockwise_shift_scale(data=data, scale=scale, **given)


def _times(scale: Any, factor: float) -> Any:
    return scale * scale.dtype.type(factor)


def _along(values: Array, rank: int, axis: int) -> Array:
    """A number, or one for each index of the axis, as a tensor of that rank."""
    return values.reshape([-1 if k == axis and values.size > 1 else 1 for k in range(rank)])


def _least(values: Array) -> Array:
    """One number as a scalar."""
    return values.reshape(()) if values.size == 1 else values


def _bits(data: Array) -> int:
    return 4 if data.dtype.metadata else 8


PACKED: Mapping[str, Converter] = {"DequantizeLinear": _dequantize}
