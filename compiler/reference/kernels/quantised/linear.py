"""Linear quantisation: per tensor, per axis, in blocks; integers of 2 to 16 bits, fp8, fp4."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..call import Call, Kernel, Steps, Value, nearest
from ..conversion import DTYPES, NARROW, dtype_of, limits_of, rounded
from ..operands import along, axis_of


def spread(parameter: Value, x: Value, axis: int, block: int) -> Value:
    """A scale or zero point so that it broadcasts with x: one number, one along the axis, or one for each block of elements along it."""
    parameter = np.asarray(parameter)
    if parameter.size == 1 and parameter.ndim <= 1:
        return parameter.reshape(())
    axis = axis_of(axis, x.ndim)
    if parameter.ndim == 1 and not block:
        return along(parameter, axis, x.ndim)
    if not block:
        block = -(-x.shape[axis] // parameter.shape[axis])
    return np.take(np.repeat(parameter, block, axis=axis), range(x.shape[axis]), axis=axis)


def wide(x: Value) -> Value:
    """Integers, those of 2 and 4 bits included, as numbers that subtract without wrapping."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.int64)


def quantised(x: Value, scale: Value, zero: Value, name: str, saturate: bool = True, steps: Steps | None = None) -> Value:
    """saturate(round(x / scale) + zero) in that dtype, halves to even; NaN gives the zero point. With `steps` of its own, in float64."""
    if name in NARROW:
        return rounded(x / scale + zero, name, saturate)
    low, high = limits_of(name)
    y = np.clip((steps or nearest)(x / scale) + zero, low, high)
    y = np.where(np.isnan(y), zero, y)
    return y.astype(np.int64).astype(dtype_of(name)) if steps is None else y


def dequantised(x: Value, scale: Value, zero: Value) -> Value:
    return (wide(x) - wide(zero)) * scale


def _target(call: Call) -> str:
    """The dtype to quantise to: the zero point's, the attribute's, uint8."""
    if call.input(2) is not None:
        return call.dtypes[2]
    return DTYPES[int(call.attributes["output_dtype"])] if call.attributes.get("output_dtype", 0) else "uint8"


def quantize(call: Call) -> tuple[Value, ...]:
    x = wide(call.inputs[0])
    axis, block = int(call.attributes.get("axis", 1)), int(call.attributes.get("block_size", 0))
    scale = spread(call.inputs[1], x, axis, block)
    zero = 0 if call.input(2) is None else spread(wide(call.input(2)), x, axis, block)
    return (quantised(x, scale, zero, _target(call), bool(call.attributes.get("saturate", 1)), call.steps),)


def dequantize(call: Call) -> tuple[Value, ...]:
    x = call.inputs[0]
    axis, block = int(call.attributes.get("axis", 1)), int(call.attributes.get("block_size", 0))
    scale = spread(call.inputs[1], x, axis, block)
    zero = np.int64(0) if call.input(2) is None else spread(wide(call.input(2)), x, axis, block)
    return (dequantised(x, scale, zero),)


def dynamic_quantize(call: Call) -> tuple[Value, ...]:
    """DynamicQuantizeLinear: uint8 over the operand's own range, which holds 0; y, scale, zero point."""
    return dynamically_quantised(call.inputs[0], call.steps)


def dynamically_quantised(x: Value, steps: Steps | None = None) -> tuple[Value, Value, Value]:
    """The scale is an fp32 number by definition, and the integers depend on it."""
    low, high = min(float(np.min(x, initial=0)), 0.0), max(float(np.max(x, initial=0)), 0.0)
    scale = float(np.float32((high - low) / 255)) or 1.0
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return quantised(x, scale, zero, "uint8", steps=steps), np.asarray(scale), np.asarray(zero, np.uint8)


KERNELS: Mapping[str, Kernel] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": dynamic_quantize,
}
