"""Functions of one tensor, element by element: rounding, roots, exponentials, trigonometry, tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .erf import erf


def _of(function: Callable[[Value], Value]) -> Kernel:
    """The kernel that applies a numpy function to its operand; integers keep their dtype and wrap."""

    def kernel(call: Call) -> tuple[Value, ...]:
        return (np.asarray(function(call.inputs[0])),)

    return kernel


def reciprocal(call: Call) -> tuple[Value, ...]:
    return (1.0 / call.inputs[0],)


def sign(call: Call) -> tuple[Value, ...]:
    """-1, 0 or 1; NaN for NaN."""
    return (np.sign(call.inputs[0]),)


def is_infinite(call: Call) -> tuple[Value, ...]:
    """`detect_negative` and `detect_positive` (both 1 by default) say which infinities count."""
    x = call.inputs[0]
    negative, positive = (bool(call.attributes.get(name, 1)) for name in ("detect_negative", "detect_positive"))
    return ((np.isneginf(x) & negative) | (np.isposinf(x) & positive),)


def identity(call: Call) -> tuple[Value, ...]:
    """Also for sequences and absent optionals."""
    return (call.inputs[0],)


_FUNCTIONS: Mapping[str, Any] = {
    "Abs": np.abs, "Neg": np.negative, "Ceil": np.ceil, "Floor": np.floor, "Round": np.rint, "Sqrt": np.sqrt, "Exp": np.exp,
    "Log": np.log, "Sin": np.sin, "Cos": np.cos, "Tan": np.tan, "Asin": np.arcsin, "Acos": np.arccos, "Atan": np.arctan,
    "Sinh": np.sinh, "Cosh": np.cosh, "Tanh": np.tanh, "Asinh": np.arcsinh, "Acosh": np.arccosh, "Atanh": np.arctanh, "Erf": erf,
    "IsNaN": np.isnan, "Not": np.logical_not, "BitwiseNot": np.bitwise_not,
}  # fmt: skip
KERNELS: Mapping[str, Kernel] = {
    **{name: _of(function) for name, function in _FUNCTIONS.items()},
    "Reciprocal": reciprocal,
    "Sign": sign,
    "IsInf": is_infinite,
    "Identity": identity,
}
