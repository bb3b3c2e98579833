"""What the elementwise operators of ONNX compute, on Python floats: for checking formulas where numpy is too heavy to import.

A function may raise ValueError (outside its domain), ZeroDivisionError or OverflowError; whoever calls it decides what that means.
Conditions (Greater, And …) are 1.0 and 0.0. Formulas are those of the ONNX operator documentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import add, mul, neg, sub, truediv

Function = Callable[..., float]


@dataclass(frozen=True, slots=True)
class Elementwise:
    function: Function
    """Takes the inputs, then the numeric attributes in the order below."""
    least: int
    most: int
    """How many inputs it takes."""
    attributes: tuple[tuple[str, float], ...] = ()
    """Numeric attributes with their defaults."""
    words: Mapping[str, str] | None = None
    """Attributes that are words, with the only value this function is right for."""
    fill: tuple[float, ...] = ()
    """Values of the inputs left out at the end."""


def sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    power = math.exp(x) if x > -745 else 0.0
    return power / (1 + power)


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def relu(x: float) -> float:
    return x if x > 0 or x != x else 0.0


def gelu(x: float) -> float:
    return 0.5 * x * math.erfc(-x * math.sqrt(0.5))


def gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def elu(x: float, alpha: float) -> float:
    return x if x > 0 else alpha * math.expm1(x)


def celu(x: float, alpha: float) -> float:
    return max(0.0, x) + min(0.0, alpha * math.expm1(min(x, 0.0) / alpha))


def selu(x: float, alpha: float, gamma: float) -> float:
    return gamma * x if x > 0 else gamma * alpha * math.expm1(x)


def clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def hard_sigmoid(x: float, alpha: float, beta: float) -> float:
    return clip(alpha * x + beta, 0.0, 1.0)


def shrink(x: float, bias: float, lambd: float) -> float:
    return x + bias if x < -lambd else x - bias if x > lambd else 0.0


def sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def largest(*values: float) -> float:
    return max(values)


def smallest(*values: float) -> float:
    return min(values)


def mean(*values: float) -> float:
    return sum(values) / len(values)


def total(*values: float) -> float:
    return sum(values)


def power(x: float, y: float) -> float:
    return math.pow(x, y)


def where(condition: float, x: float, y: float) -> float:
    return x if condition else y


def _one(function: Function) -> Elementwise:
    return Elementwise(function, 1, 1)


def _two(function: Function) -> Elementwise:
    return Elementwise(function, 2, 2)


MANY = 1 << 20
_UNARY: Mapping[str, Function] = {
    "Abs": abs, "Acos": math.acos, "Acosh": math.acosh, "Asin": math.asin, "Asinh": math.asinh, "Atan": math.atan, "Atanh": math.atanh,
    "Ceil": lambda x: float(math.ceil(x)), "Cos": math.cos, "Cosh": math.cosh, "Erf": math.erf, "Exp": math.exp,
    "Floor": lambda x: float(math.floor(x)), "HardSwish": lambda x: x * clip(x / 6 + 0.5, 0.0, 1.0), "Identity": float,
    "Log": math.log, "Mish": lambda x: x * math.tanh(softplus(x)), "Neg": neg, "Not": lambda x: float(not x),
    "Reciprocal": lambda x: 1 / x, "Relu": relu, "Round": lambda x: float(round(x)), "Sigmoid": sigmoid, "Sign": sign,
    "Sin": math.sin, "Sinh": math.sinh, "Softplus": softplus, "Softsign": lambda x: x / (1 + abs(x)), "Sqrt": math.sqrt,
    "Tan": math.tan, "Tanh": math.tanh,
}  # fmt: skip
_BINARY: Mapping[str, Function] = {
    "Add": add, "Sub": sub, "Mul": mul, "Div": truediv, "Pow": power, "PRelu": lambda x, slope: x if x >= 0 else slope * x,
    "And": lambda a, b: float(bool(a and b)), "Or": lambda a, b: float(bool(a or b)), "Xor": lambda a, b: float(bool(a) != bool(b)),
    "Equal": lambda a, b: float(a == b), "Greater": lambda a, b: float(a > b), "GreaterOrEqual": lambda a, b: float(a >= b),
    "Less": lambda a, b: float(a < b), "LessOrEqual": lambda a, b: float(a <= b),
}  # fmt: skip
SELU = (("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875))
ELEMENTWISE: Mapping[str, Elementwise] = {
    **{name: _one(function) for name, function in _UNARY.items()},
    **{name: _two(function) for name, function in _BINARY.items()},
    "Celu": Elementwise(celu, 1, 1, (("alpha", 1.0),)),
    "Clip": Elementwise(clip, 1, 3, fill=(-math.inf, math.inf)),
    "Elu": Elementwise(elu, 1, 1, (("alpha", 1.0),)),
    "Gelu": Elementwise(gelu, 1, 1, words={"approximate": "none"}),
    "Gelu tanh": Elementwise(gelu_tanh, 1, 1, words={"approximate": "tanh"}),
    "HardSigmoid": Elementwise(hard_sigmoid, 1, 1, (("alpha", 0.2), ("beta", 0.5))),
    "LeakyRelu": Elementwise(lambda x, alpha: x if x >= 0 else alpha * x, 1, 1, (("alpha", 0.01),)),
    "Max": Elementwise(largest, 1, MANY),
    "Mean": Elementwise(mean, 1, MANY),
    "Min": Elementwise(smallest, 1, MANY),
    "Selu": Elementwise(selu, 1, 1, SELU),
    "Shrink": Elementwise(shrink, 1, 1, (("bias", 0.0), ("lambd", 0.5))),
    "Sum": Elementwise(total, 1, MANY),
    "Swish": Elementwise(lambda x, alpha: x * sigmoid(alpha * x), 1, 1, (("alpha", 1.0),)),
    "ThresholdedRelu": Elementwise(lambda x, alpha: x if x > alpha else 0.0, 1, 1, (("alpha", 1.0),)),
    "Where": Elementwise(where, 3, 3),
    "com.microsoft::Gelu": _one(gelu),
    "com.microsoft::QuickGelu": Elementwise(lambda x, alpha: x * sigmoid(alpha * x), 1, 1, (("alpha", 1.702),)),
}
"""By the name a rule calls it; "Gelu tanh" is Gelu with approximate = "tanh"."""
