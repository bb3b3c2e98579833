"""DequantizeLinear of constants of 8 bits: they stay so in the asset, and Core AI widens them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..onnx_node import Converter, OnnxNode, axes_of

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

NARROW = ("int8", "uint8")


def _dequantize(node: OnnxNode) -> Any:
    """A scale for all, for each index of an axis, or for each block along it. int32 (a bias) becomes floats here: it is small."""
    import numpy

    data, scale = node.constant(0), node.constant(1)
    zero = node.constant(2) if node.has(2) else numpy.zeros(scale.shape, data.dtype)
    if not data.ndim:
        raise node.refuse("a scalar is not converted")
    block, axis = node.attribute("block_size", 0), axes_of([node.attribute("axis", 1)], data.ndim)[0]
    if block and data.shape[axis] % block:
        raise node.refuse(f"{data.shape[axis]} elements are no whole number of blocks of {block}, as Core AI wants them")
    if not block:
        scale, zero = _along(scale, data.ndim, axis), _along(zero, data.ndim, axis)
    if data.dtype == numpy.int32 and not block:
        return ((data.astype(numpy.float64) - zero) * scale).astype(scale.dtype)
    if data.dtype.name not in NARROW:
        raise node.refuse(f"{data.dtype} is not converted, {' and '.join(NARROW)} are")
    if scale.dtype.name not in ("float32", "float16"):
        raise node.refuse(f"a scale of {scale.dtype} is not converted")
    return node.api.blockwise_shift_scale(*map(node.api.value, (data, scale, zero, numpy.zeros(scale.shape, scale.dtype))))


def _along(values: Array, rank: int, axis: int) -> Array:
    """A number, or one for each index of the axis, as a tensor of that rank."""
    return values.reshape([-1 if k == axis and values.size > 1 else 1 for k in range(rank)])


PACKED: Mapping[str, Converter] = {"DequantizeLinear": _dequantize}
