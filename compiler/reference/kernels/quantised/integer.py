"""Products and convolutions of quantised tensors. Integer sums are exact: 8- and 16-bit products are summed in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..call import Call, Kernel, Value
from ..convolution import convolve
from ..operands import along
from ..window import axes
from .linear import quantised, wide


def centred(x: Value, zero: Value, axis: int | None = None) -> Value:
    """x - zero in float64; a vector of zero points lies along the axis, a larger one broadcasts."""
    x = np.asarray(x).astype(np.float64)
    if zero is None:
        return x
    zero = wide(zero)
    if zero.size == 1:
        return x - zero.reshape(())
    return x - (along(zero, axis, x.ndim) if axis is not None and zero.ndim == 1 else zero)


def _int32(x: Value, call: Call) -> Value:
    """A whole number in float64, wrapped to 32 bits; as it is where steps are left out."""
    return x.astype(np.int64).astype(np.int32) if call.steps is None else x


def along_rows(parameter: Value, rank: int) -> Value:
    """A scale or zero point of the left operand of a product: a vector has one number for each row."""
    parameter = np.asarray(parameter)
    return parameter[:, None] if parameter.ndim == 1 and parameter.size > 1 else parameter.reshape(()) if parameter.size == 1 else parameter


def matmul_integer(call: Call) -> tuple[Value, ...]:
    """int32 sums of (A - a_zero)(B - b_zero); a_zero per row, b_zero per column."""
    a, b, zero_a, zero_b = call.inputs[0], call.inputs[1], call.input(2), call.input(3)
    a = centred(a, None if zero_a is None else along_rows(zero_a, a.ndim))
    return (np.asarray(_int32(np.matmul(a, centred(b, zero_b)), call)),)


def conv_integer(call: Call) -> tuple[Value, ...]:
    """int32; padding is x_zero, so that it adds nothing. w_zero may differ by filter."""
    x = centred(call.inputs[0], call.input(2))
    w = centred(call.inputs[1], call.input(3), 0)
    return (_int32(convolve(x, w, axes(call, x.shape[2:], w.shape[2:]), int(call.attributes.get("group", 1))), call),)


def qlinear_matmul(call: Call) -> tuple[Value, ...]:
    """A, its scale and zero point, B, its scale and zero point, those of the result."""
    a, scale_a, zero_a, b, scale_b, zero_b, scale, zero = call.inputs
    product = np.matmul(centred(a, along_rows(zero_a, a.ndim)), centred(b, zero_b))
    real = product * along_rows(scale_a, a.ndim) * _one(scale_b)
    return (quantised(np.asarray(real), along_rows(scale, a.ndim), wide(along_rows(zero, a.ndim)), call.dtypes[7], steps=call.steps),)


def _one(scale: Value) -> Value:
    scale = np.asarray(scale)
    return scale.reshape(()) if scale.size == 1 else scale


def qlinear_conv(call: Call) -> tuple[Value, ...]:
    """X, W (scale and zero point per tensor or per filter), the result's scale and zero point, int32 bias of scale x · w."""
    x, scale_x, zero_x, w, scale_w, zero_w, scale, zero = call.inputs[:8]
    sums = convolve(centred(x, zero_x), centred(w, zero_w, 0), axes(call, x.shape[2:], w.shape[2:]), int(call.attributes.get("group", 1)))
    if call.input(8) is not None:
        sums = sums + along(call.input(8), 1, x.ndim)
    factor = np.asarray(scale_x).reshape(()) * scale_w
    factor = along(factor, 1, x.ndim) if np.size(factor) > 1 else np.asarray(factor).reshape(())
    return (quantised(sums * factor, np.asarray(scale).reshape(()), wide(zero).reshape(()), call.dtypes[7], steps=call.steps),)


KERNELS: Mapping[str, Kernel] = {
    "MatMulInteger": matmul_integer,
    "ConvInteger": conv_integer,
    "QLinearMatMul": qlinear_matmul,
    "QLinearConv": qlinear_conv,
}
