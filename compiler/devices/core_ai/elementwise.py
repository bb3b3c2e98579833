"""ONNX's elementwise operators on numbers as Core AI's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode
from .api import CoreValue, dtype_of
from .tensor import like, tensor


def unary(name: str) -> Converter:
    """An operator of one operand, by the API's function `name`; so in all of this file."""
    return lambda node: getattr(node.api, name)(tensor(node, 0))


def binary(name: str) -> Converter:
    """An operator of two operands, which broadcast."""
    return lambda node: getattr(node.api, name)(tensor(node, 0), tensor(node, 1))


def folded(name: str) -> Converter:
    """An operator of one or more operands, as a chain of binary ones."""

    def convert(node: OnnxNode) -> Any:
        parts = [tensor(node, k) for k in range(len(node.operands))]
        return functools.reduce(getattr(node.api, name), parts)

    return convert


def _mean(node: OnnxNode) -> Any:
    total = FOLDED["Sum"](node)
    return total if len(node.operands) == 1 else node.api.broadcasting_mul(total, like(total, 1 / len(node.operands)))


def _div(node: OnnxNode) -> Any:
    """Of whole numbers the floored quotient q, and one more where it is negative and something is left: ONNX divides towards zero. Core
    AI's rewrites take x / c · c for x, so that `divide` is not for them."""
    x, y, api = tensor(node, 0), tensor(node, 1), node.api
    if x.dtype.kind == "f":
        return api.broadcasting_divide(x, y)
    q = api.broadcasting_floor_divide(x, y)
    if x.dtype.kind == "u":
        return q
    left = api.broadcasting_not_equal(api.broadcasting_mul(q, y), x)
    up = api.broadcasting_and(left, api.broadcasting_greater(like(q, 0), q))
    return api.broadcasting_add(q, api.cast_to(up, x.dtype))


def _mod(node: OnnxNode) -> Any:
    x, y = tensor(node, 0), tensor(node, 1)
    if node.attribute("fmod", 0):
        return node.api.broadcasting_modulo(x, y)
    if x.dtype.kind == "f":
        raise node.refuse("floats need fmod = 1")
    return node.api.broadcasting_sub(x, node.api.broadcasting_mul(node.api.broadcasting_floor_divide(x, y), y))


def _pow(node: OnnxNode) -> Any:
    x, y = tensor(node, 0), tensor(node, 1)
    if x.dtype.kind != y.dtype.kind and x.dtype.kind != "f":
        raise node.refuse("a whole number to the power of a float is not converted")
    return node.api.broadcasting_pow(x, node.api.cast_to(y, x.dtype))


def _negative(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    return node.api.broadcasting_mul(x, like(x, -1))


def _reciprocal(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    return node.api.broadcasting_divide(like(x, 1), x)


def _floor(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    return node.api.broadcasting_floor_divide(x, like(x, 1))


def _ceil(node: OnnxNode) -> Any:
    """x / -1, floored, is -ceil(x)."""
    x = tensor(node, 0)
    return node.api.broadcasting_mul(node.api.broadcasting_floor_divide(x, like(x, -1)), like(x, -1))


def _sign(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    above = node.api.cast_to(node.api.broadcasting_greater(x, like(x, 0)), x.dtype)
    below = node.api.cast_to(node.api.broadcasting_greater(like(x, 0), x), x.dtype)
    return node.api.broadcasting_sub(above, below)


def _gelu(node: OnnxNode) -> Any:
    approximate = node.attribute("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise node.refuse(f"approximate = {approximate}")
    return node.api.gelu(tensor(node, 0), approximate=approximate)


def _bounded(node: OnnxNode, x: CoreValue, low: float, high: float) -> CoreValue:
    result: CoreValue = node.api.broadcasting_minimum(node.api.broadcasting_maximum(x, like(x, low)), like(x, high))
    return result


def _clip(node: OnnxNode) -> Any:
    """With the bounds that are given. The upper one wins where they cross, as in ONNX."""
    x = tensor(node, 0)
    if node.has(1):
        x = node.api.broadcasting_maximum(x, tensor(node, 1))
    return node.api.broadcasting_minimum(x, tensor(node, 2)) if node.has(2) else x


def _hard(node: OnnxNode, alpha: float, beta: float) -> CoreValue:
    """max(0, min(1, alpha x + beta))."""
    x = tensor(node, 0)
    line = node.api.broadcasting_add(node.api.broadcasting_mul(x, like(x, alpha)), like(x, beta))
    return _bounded(node, line, 0.0, 1.0)


def _hard_sigmoid(node: OnnxNode) -> Any:
    return _hard(node, node.attribute("alpha", 0.2), node.attribute("beta", 0.5))


def _hard_swish(node: OnnxNode) -> Any:
    return node.api.broadcasting_mul(tensor(node, 0), _hard(node, 1 / 6, 0.5))


def _swish(node: OnnxNode) -> Any:
    x, alpha = tensor(node, 0), node.attribute("alpha", 1.0)
    if alpha == 1.0:
        return node.api.silu(x)
    return node.api.broadcasting_mul(x, node.api.sigmoid(node.api.broadcasting_mul(x, like(x, alpha))))


def _softplus(node: OnnxNode) -> CoreValue:
    """max(x, 0) + log(1 + exp(-|x|)): exp does not overflow."""
    x, api = tensor(node, 0), node.api
    small = api.exp(api.broadcasting_mul(api.abs_(x), like(x, -1)))
    result: CoreValue = api.broadcasting_add(api.relu(x), api.log(api.broadcasting_add(small, like(x, 1))))
    return result


def _mish(node: OnnxNode) -> Any:
    return node.api.broadcasting_mul(tensor(node, 0), node.api.tanh(_softplus(node)))


def _softsign(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    return node.api.broadcasting_divide(x, node.api.broadcasting_add(node.api.abs_(x), like(x, 1)))


def _leaky_relu(node: OnnxNode) -> Any:
    """The larger one of x and alpha x, for alpha up to 1."""
    x, alpha = tensor(node, 0), node.attribute("alpha", 0.01)
    sloped = node.api.broadcasting_mul(x, like(x, alpha))
    if 0 <= alpha <= 1:
        return node.api.broadcasting_maximum(x, sloped)
    return node.api.broadcasting_where(node.api.broadcasting_greater(x, like(x, 0)), x, sloped)


def _prelu(node: OnnxNode) -> Any:
    """max(x, 0) + slope min(x, 0): a slope of any shape that broadcasts."""
    x = tensor(node, 0)
    below = node.api.broadcasting_mul(node.api.broadcasting_minimum(x, like(x, 0)), tensor(node, 1))
    return node.api.broadcasting_add(node.api.relu(x), below)


def _elu(node: OnnxNode) -> Any:
    return _exponential(node, 1.0, node.attribute("alpha", 1.0), 1.0)


def _selu(node: OnnxNode) -> Any:
    """Defaults of ONNX."""
    gamma = node.attribute("gamma", 1.0507009873554804934)
    return _exponential(node, gamma, gamma * node.attribute("alpha", 1.6732632423543772848), 1.0)


def _celu(node: OnnxNode) -> Any:
    alpha = node.attribute("alpha", 1.0)
    return _exponential(node, 1.0, alpha, alpha)


def _exponential(node: OnnxNode, above: float, below: float, scale: float) -> Any:
    """above · max(x, 0) + below · (exp(min(x, 0) / scale) - 1): exp does not overflow."""
    x, api = tensor(node, 0), node.api
    low = api.broadcasting_minimum(x, like(x, 0))
    low = low if scale == 1.0 else api.broadcasting_mul(low, like(x, 1 / scale))
    curve = api.broadcasting_sub(api.exp(low), like(x, 1))
    curve = curve if below == 1.0 else api.broadcasting_mul(curve, like(x, below))
    line = api.relu(x)
    return api.broadcasting_add(line if above == 1.0 else api.broadcasting_mul(line, like(x, above)), curve)


def _thresholded(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    return node.api.broadcasting_where(node.api.broadcasting_greater(x, like(x, node.attribute("alpha", 1.0))), x, like(x, 0))


def _cast(node: OnnxNode) -> Any:
    """Floats are cut off before they are whole numbers, and compared with 0 for a truth value: Core AI's rewrites take a cast there and
    back for none at all."""
    import numpy

    x, api = tensor(node, 0), node.api
    try:
        to = dtype_of(node.attribute("to"))
    except ValueError as problem:
        raise node.refuse(str(problem)) from None
    if to.kind == "f" or x.dtype.kind == "b" or x.dtype == to:
        return api.cast_to(x, to)
    if to.kind == "b":
        return api.broadcasting_not_equal(x, like(x, 0))
    if to != numpy.int32 or (x.dtype.kind == "u" and x.dtype.itemsize == 4):
        raise node.refuse(f"{x.dtype} as {to}: Core AI leaves numbers beyond it undefined")
    return api.cast_to(x if x.dtype.kind != "f" else api.broadcasting_sub(x, api.broadcasting_modulo(x, like(x, 1))), to)


def _same(node: OnnxNode) -> Any:
    return node.operand(0)


def _log_softmax(node: OnnxNode) -> Any:
    """x - max - log Σ exp(x - max)."""
    if node.opset < 13:
        raise node.refuse("opset 13 or later is converted")
    x, api, axes = tensor(node, 0), node.api, [node.attribute("axis", -1)]
    shifted = api.broadcasting_sub(x, api.reduce_max(x, axes))
    return api.broadcasting_sub(shifted, api.log(api.reduce_sum(api.exp(shifted), axes)))


def _softmax(node: OnnxNode) -> Any:
    if node.opset < 13:
        raise node.refuse("opset 13 or later is converted")
    return node.api.softmax(tensor(node, 0), node.attribute("axis", -1))


UNARY = {
    "Abs": "abs_", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh", "Cos": "cos",
    "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Log": "log", "Relu": "relu", "Round": "round_", "Sigmoid": "sigmoid", "Sin": "sin",
    "Sinh": "sinh", "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
BINARY = {"Add": "broadcasting_add", "Mul": "broadcasting_mul", "Sub": "broadcasting_sub"}
FOLDED: Mapping[str, Callable[[OnnxNode], Any]] = {
    "Max": folded("broadcasting_maximum"),
    "Min": folded("broadcasting_minimum"),
    "Sum": folded("broadcasting_add"),
}
ELEMENTWISE: Mapping[str, Converter] = {
    **{name: unary(core) for name, core in UNARY.items()},
    **{name: binary(core) for name, core in BINARY.items()},
    **FOLDED,
    "Cast": _cast,
    "Ceil": _ceil,
    "Celu": _celu,
    "Clip": _clip,
    "Div": _div,
    "Elu": _elu,
    "Floor": _floor,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _same,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "Mean": _mean,
    "Mish": _mish,
    "Mod": _mod,
    "Neg": _negative,
    "PRelu": _prelu,
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "Selu": _selu,
    "Sign": _sign,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded,
}
