"""Activations: rectifiers, sigmoids, soft maxima."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, prod, sqrt
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .conversion import limits_of
from .erf import erfc
from .operands import along, axis_of, is_float, number


def sigmoid(x: Value) -> Value:
    """1 / (1 + exp(-x)); where exp overflows, below -709, it is 0."""
    return 1 / (1 + np.exp(-x))


def softplus(x: Value) -> Value:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu_erf(x: Value) -> Value:
    """x · Φ(x) with the normal distribution's Φ; NaN at -inf, as the standard's formula (0 · inf) gives."""
    result = erfc(x * -sqrt(0.5))
    result *= 0.5 * x
    return result


def gelu_tanh(x: Value) -> Value:
    """Its approximation 0.5x(1 + tanh(√(2/π)(x + 0.044715x³)))."""
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))


def _of(function: Callable[[Value, Call], Value]) -> Kernel:
    def kernel(call: Call) -> tuple[Value, ...]:
        return (np.asarray(function(call.inputs[0], call)),)

    return kernel


def _elu(x: Value, alpha: float) -> Value:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(x: Value, call: Call) -> Value:
    return np.clip(number(call, "alpha", 0.2) * x + number(call, "beta", 0.5), 0, 1)


def _celu(x: Value, call: Call) -> Value:
    alpha = number(call, "alpha", 1.0)
    return np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _shrink(x: Value, call: Call) -> Value:
    bias, bound = number(call, "bias", 0.0), number(call, "lambd", 0.5)
    wide = np.where(x < -bound, x + bias, np.where(x > bound, x - bias, 0))
    return wide.astype(x.dtype)


def _selu(x: Value, call: Call) -> Value:
    return number(call, "gamma", 1.05070102214813232421875) * _elu(x, number(call, "alpha", 1.67326319217681884765625))


def clip(call: Call) -> tuple[Value, ...]:
    """Bounds by attribute below opset 11; an absent one is the lowest or largest finite number of the dtype. NaN stays."""
    x = call.inputs[0]
    low, high = (call.input(i) if call.version >= 11 else call.attributes.get(n) for i, n in ((1, "min"), (2, "max")))
    if is_float(x):
        limits = limits_of(call.dtypes[0] or "float32")
        low, high = (limit if given is None else given for given, limit in zip((low, high), limits, strict=True))
        return (np.minimum(np.maximum(x, low), high),)
    x = x if low is None else np.maximum(x, np.asarray(low, x.dtype))
    return (x if high is None else np.minimum(x, np.asarray(high, x.dtype)),)


def prelu(call: Call) -> tuple[Value, ...]:
    """Below opset 7 a vector of slopes lies along the channels."""
    x, slope = call.inputs
    if call.version < 7 and slope.ndim == 1 and slope.size > 1:
        slope = along(slope, 1, x.ndim)
    return (np.where(x < 0, x * slope, x).astype(x.dtype),)


def gelu(call: Call) -> tuple[Value, ...]:
    tanh = call.attributes.get("approximate", "none") == "tanh"
    return ((gelu_tanh if tanh else gelu_erf)(call.inputs[0]),)


def _rows(call: Call) -> tuple[Value, int]:
    """The operand and the axis of a soft maximum; flattened to 2-D at the axis below opset 13."""
    x = np.asarray(call.inputs[0])
    axis = axis_of(int(call.attributes.get("axis", 1 if call.version < 13 else -1)), x.ndim)
    return (x, axis) if call.version >= 13 else (x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:])), 1)


def softmax_of(x: Value, axis: int) -> Value:
    """NaN throughout a row that holds NaN or inf, or nothing but -inf."""
    if not x.shape[axis]:
        return x
    e = np.exp(x - x.max(axis, keepdims=True))
    e /= e.sum(axis, keepdims=True)
    return e


def softmax(call: Call) -> tuple[Value, ...]:
    return (softmax_of(*_rows(call)).reshape(call.inputs[0].shape),)


def log_softmax_of(x: Value, axis: int) -> Value:
    if not x.shape[axis]:
        return x
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def log_softmax(call: Call) -> tuple[Value, ...]:
    return (log_softmax_of(*_rows(call)).reshape(call.inputs[0].shape),)


def hardmax(call: Call) -> tuple[Value, ...]:
    """1 at the first of the largest, 0 elsewhere."""
    x, axis = _rows(call)
    result = np.zeros_like(x)
    if x.size:
        np.put_along_axis(result, np.expand_dims(x.argmax(axis), axis), 1, axis)
    return (result.reshape(call.inputs[0].shape),)


def swiglu(call: Call) -> tuple[Value, ...]:
    """Swish of the gate times the value."""
    gate, value = call.inputs
    return (gate * sigmoid(number(call, "alpha", 1.0) * gate) * value,)


_FUNCTIONS: Mapping[str, Any] = {
    "Relu": lambda x, call: np.maximum(x, x.dtype.type(0)),
    "LeakyRelu": lambda x, call: np.maximum(x, 0) + number(call, "alpha", 0.01) * np.minimum(x, 0),
    "ThresholdedRelu": lambda x, call: np.where(x > number(call, "alpha", 1.0), x, 0.0),
    "Elu": lambda x, call: _elu(x, number(call, "alpha", 1.0)),
    "Selu": _selu,
    "Celu": _celu,
    "Shrink": _shrink,
    "Sigmoid": lambda x, call: sigmoid(x),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x, call: x * np.clip(x / 6 + 0.5, 0, 1),
    "Softplus": lambda x, call: softplus(x),
    "Softsign": lambda x, call: x / (1 + np.abs(x)),
    "Mish": lambda x, call: x * np.tanh(softplus(x)),
    "Swish": lambda x, call: x * sigmoid(number(call, "alpha", 1.0) * x),
}
KERNELS: Mapping[str, Kernel] = {
    **{name: _of(function) for name, function in _FUNCTIONS.items()},
    "Clip": clip,
    "PRelu": prelu,
    "Gelu": gelu,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "Hardmax": hardmax,
    "SwiGLU": swiglu,
}
