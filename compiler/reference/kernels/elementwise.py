"""Functions computed element by element: arithmetic, roots, angles, comparison, logic, bits; several tensors broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .erf import erf
from .operands import axis_of, is_float


def _pair(call: Call) -> tuple[Value, Value]:
    """Both operands; below opset 7 the second one is placed by `axis` where `broadcast` is set."""
    a, b = np.asarray(call.inputs[0]), np.asarray(call.inputs[1])
    if call.version < 7 and call.attributes.get("broadcast", 0) and "axis" in call.attributes:
        axis = axis_of(int(call.attributes["axis"]), a.ndim)
        b = b.reshape(*b.shape, *[1] * (a.ndim - axis - b.ndim))
    return a, b


def _of(function: Callable[[Value, Value], Value]) -> Kernel:
    def kernel(call: Call) -> tuple[Value, ...]:
        return (np.asarray(function(*_pair(call))),)

    return kernel


def _all(function: Callable[[Value, Value], Value]) -> Kernel:
    """The kernel of one or more operands."""

    def kernel(call: Call) -> tuple[Value, ...]:
        return (np.asarray(reduce(function, call.inputs)),)

    return kernel


def quotient(a: Value, b: Value) -> Value:
    """a / b; of integers truncated toward zero."""
    if is_float(a):
        return a / b
    floor = a // b
    if np.asarray(a).dtype.kind == "u":
        return floor
    return floor + ((floor * b != a) & ((a < 0) != (b < 0))).astype(floor.dtype)


def remainder(call: Call) -> tuple[Value, ...]:
    """The sign follows the divisor; with `fmod` the dividend, as in C."""
    a, b = _pair(call)
    return (np.fmod(a, b) if call.attributes.get("fmod", 0) else np.mod(a, b),)


def power(call: Call) -> tuple[Value, ...]:
    """In the dtype of the base: an integer to a fraction or to a negative number is truncated toward zero."""
    a, b = _pair(call)
    if is_float(a) or is_float(b) or (b.dtype.kind == "i" and np.any(b < 0)):
        result = np.power(a.astype(np.float64), b.astype(np.float64))
        return (result if is_float(a) else np.trunc(result).astype(np.int64).astype(a.dtype),)
    return (np.power(a, b.astype(a.dtype)),)


def mean(call: Call) -> tuple[Value, ...]:
    return (reduce(np.add, call.inputs) / len(call.inputs),)


def bit_shift(call: Call) -> tuple[Value, ...]:
    left = call.attributes["direction"] == "LEFT"
    return ((np.left_shift if left else np.right_shift)(call.inputs[0], call.inputs[1]),)


def where(call: Call) -> tuple[Value, ...]:
    return (np.where(*call.inputs),)


def _of_one(function: Callable[[Value], Value]) -> Kernel:
    """The kernel that applies a numpy function to its operand; integers keep their dtype and wrap."""

    def kernel(call: Call) -> tuple[Value, ...]:
        return (np.asarray(function(call.inputs[0])),)

    return kernel


def reciprocal(call: Call) -> tuple[Value, ...]:
    return (1.0 / call.inputs[0],)


def is_infinite(call: Call) -> tuple[Value, ...]:
    """`detect_negative` and `detect_positive` (both 1 by default) say which infinities count."""
    x = call.inputs[0]
    negative, positive = (bool(call.attributes.get(name, 1)) for name in ("detect_negative", "detect_positive"))
    return ((np.isneginf(x) & negative) | (np.isposinf(x) & positive),)


def identity(call: Call) -> tuple[Value, ...]:
    """Also for sequences and absent optionals."""
    return (call.inputs[0],)


_UNARY: Mapping[str, Any] = {
    "Abs": np.abs, "Sign": np.sign, "Neg": np.negative, "Ceil": np.ceil, "Floor": np.floor, "Round": np.rint, "Sqrt": np.sqrt,
    "Exp": np.exp, "Log": np.log, "Sin": np.sin, "Cos": np.cos, "Tan": np.tan, "Asin": np.arcsin, "Acos": np.arccos,
    "Atan": np.arctan, "Sinh": np.sinh, "Cosh": np.cosh, "Tanh": np.tanh, "Asinh": np.arcsinh, "Acosh": np.arccosh,
    "Atanh": np.arctanh, "Erf": erf, "IsNaN": np.isnan, "Not": np.logical_not, "BitwiseNot": np.bitwise_not,
}  # fmt: skip
_BINARY: Mapping[str, Any] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": quotient, "Equal": np.equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal, "And": np.logical_and, "Or": np.logical_or,
    "Xor": np.logical_xor, "BitwiseAnd": np.bitwise_and, "BitwiseOr": np.bitwise_or, "BitwiseXor": np.bitwise_xor,
}  # fmt: skip
KERNELS: Mapping[str, Kernel] = {
    **{name: _of(function) for name, function in _BINARY.items()},
    **{name: _of_one(function) for name, function in _UNARY.items()},
    "Reciprocal": reciprocal,
    "IsInf": is_infinite,
    "Identity": identity,
    "Max": _all(np.maximum),
    "Min": _all(np.minimum),
    "Sum": _all(np.add),
    "Mean": mean,
    "Mod": remainder,
    "Pow": power,
    "BitShift": bit_shift,
    "Where": where,
}
