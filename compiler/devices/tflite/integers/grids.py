"""The grids of QuantizeLinear and DequantizeLinear as LiteRT has them: signed, a scale and zero point for the tensor or for each channel.

uint8 is kept as int8 and uint16 as int16, of the same numbers: 128 or 32768 less, and so the zero point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .....targets.dtypes import DTYPES
from ...attributes import attribute_of
from ..records import Refused, Scales

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

INTO, OUT = "QuantizeLinear", "DequantizeLinear"
DOMAINS = ("", "ai.onnx", "com.microsoft")
SHIFTS = {row.numpy: 1 << row.bits - 1 for row in DTYPES.values() if row.kind == "uint" and row.bits in (8, 16)}
SIGNED = {
    row.numpy: f"int{row.bits}"
    for row in DTYPES.values()
    if (row.kind == "int" and row.bits in (8, 16, 32)) or (row.kind == "uint" and row.bits in (8, 16))
}
"""dtype of a quantised tensor -> that of the stored one."""
WITH_ZERO = "int8"
"""The stored dtype that LiteRT's kernels take with another zero point than 0."""


LEAST = 2.0**-100
"""Of a scale: LiteRT ends the process on steps whose products are too small for float32."""


def is_grid(node: onnx.NodeProto) -> bool:
    """Whether the node quantises or dequantises."""
    return node.op_type in (INTO, OUT) and node.domain in DOMAINS


def grid_of(node: onnx.NodeProto, constants: Mapping[str, Array], dtype: str, rank: int) -> Scales:
    """Of a QuantizeLinear or DequantizeLinear, for the stored tensor. `dtype`: of the quantised tensor, as the model has it.

    Raises Refused for a scale that is computed or below LEAST, blocks, another dtype, and a zero point that LiteRT has no kernels for."""
    import numpy

    if dtype not in SIGNED:
        raise Refused(f"numbers quantised to {dtype} are not converted")
    if any(name and name not in constants for name in node.input[1:]):
        raise Refused("a scale that is computed is not converted")
    if attribute_of(node, "block_size", 0):
        raise Refused("scales of blocks are not converted")
    scale = numpy.asarray(constants[node.input[1]], numpy.float32).reshape(-1)
    if not (numpy.isfinite(scale).all() and (scale >= LEAST).all()):
        raise Refused(f"a scale of {float(scale[~(scale >= LEAST) | ~numpy.isfinite(scale)][0]):.3g} is not converted")
    given = constants[node.input[2]] if len(node.input) > 2 and node.input[2] else numpy.zeros(1, numpy.int64)
    zero = numpy.broadcast_to(numpy.asarray(given, numpy.int64).reshape(-1) - SHIFTS.get(dtype, 0), scale.shape)
    if SIGNED[dtype] != WITH_ZERO and zero.any():
        raise Refused(f"{dtype} whose middle is not 0 is not converted")
    axis = attribute_of(node, "axis", 1) % max(rank, 1) if scale.size > 1 else 0
    return Scales(tuple(float(s) for s in scale), tuple(int(z) for z in zero), axis)


def port_scales(scales: Scales, dtype: str) -> Scales:
    """Of a stored tensor, as an input or output of the model that has another sign."""
    return Scales(scales.scale, tuple(zero + SHIFTS.get(dtype, 0) for zero in scales.zero), scales.axis)


def stored(values: Array) -> Array:
    """A quantised constant as it is stored."""
    import numpy

    shift = SHIFTS.get(values.dtype.name, 0)
    return values if not shift else (values.astype(numpy.int64) - shift).astype(SIGNED[values.dtype.name])


def floats_of(values: Array, scales: Scales) -> Array:
    """The numbers that a stored constant stands for, as fp32 computes them."""
    import numpy

    shape = [len(scales.scale) if axis == scales.axis and len(scales.scale) > 1 else 1 for axis in range(values.ndim)]
    zero = numpy.array(scales.zero, numpy.int64).reshape(shape)
    scale = numpy.array(scales.scale, numpy.float32).reshape(shape)
    made: Array = (values.astype(numpy.int64) - zero).astype(numpy.float32) * scale
    return made


def place_on(scales: Scales, number: float, dtype: str) -> int:
    """The integer of a grid that is nearest to a number; ties to even, as ONNX rounds."""
    import numpy

    limits = numpy.iinfo(dtype)
    if not numpy.isfinite(number):
        return int(limits.max if number > 0 else limits.min)
    return int(numpy.clip(numpy.rint(number / scales.scale[0]) + scales.zero[0], limits.min, limits.max))
