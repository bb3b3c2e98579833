"""ONNX's elementwise operators as MIL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode, shape_of
from .node import float_type, is_float


def unary(name: str) -> Converter:
    """An operator of one operand `x`, by the MIL builder's function `name`; so in all of this file."""
    return lambda node: getattr(node.api, name)(x=node.operand(0))


def binary(name: str) -> Converter:
    """An operator of two operands `x` and `y`."""
    return lambda node: getattr(node.api, name)(x=node.operand(0), y=node.operand(1))


def folded(name: str) -> Converter:
    """An operator of one or more operands, as a chain of binary ones."""

    def convert(node: OnnxNode) -> Any:
        result = node.operand(0)
        for other in node.operands[1:]:
            result = getattr(node.api, name)(x=result, y=other)
        return result

    return convert


def with_alpha(name: str, default: float) -> Converter:
    """An operator of one operand with the attribute `alpha`."""
    return lambda node: getattr(node.api, name)(x=node.operand(0), alpha=_like(node, node.attribute("alpha", default)))


def _like(node: OnnxNode, value: float) -> Any:
    return float_type(node.operand(0))(value)


def _div(node: OnnxNode) -> Any:
    if not is_float(node.operand(0)):
        raise node.refuse("whole numbers are divided towards zero, which Core ML does not offer")
    return node.api.real_div(x=node.operand(0), y=node.operand(1))


def _pow(node: OnnxNode) -> Any:
    if is_float(node.operand(0)) != is_float(node.operand(1)):
        raise node.refuse("base and exponent have different dtypes")
    return node.api.pow(x=node.operand(0), y=node.operand(1))


def _reciprocal(node: OnnxNode) -> Any:
    """Not `inverse`, which adds 1e-4 to its operand."""
    return node.api.real_div(x=_like(node, 1.0), y=node.operand(0))


def _negative(node: OnnxNode) -> Any:
    x = node.operand(0)
    return node.api.mul(x=x, y=float_type(x)(-1.0) if is_float(x) else -1)


def _gelu(node: OnnxNode) -> Any:
    modes = {"none": "EXACT", "tanh": "TANH_APPROXIMATION"}
    approximate = node.attribute("approximate", "none")
    if approximate not in modes:
        raise node.refuse(f"approximate = {approximate}")
    return node.api.gelu(x=node.operand(0), mode=modes[approximate])


def _clip(node: OnnxNode) -> Any:
    """With the bounds that are given; `clip` itself wants both, and an absent one as a number is infinite in fp16."""
    x, low, high = node.operand(0), node.has(1), node.has(2)
    if low and high and is_float(x) and node.is_constant(1) and node.is_constant(2):
        kind = float_type(x)
        return node.api.clip(x=x, alpha=kind(node.constant(1).item()), beta=kind(node.constant(2).item()))
    if low:
        x = node.api.maximum(x=x, y=node.operand(1))
    return node.api.minimum(x=x, y=node.operand(2)) if high else x


def _hard_sigmoid(node: OnnxNode) -> Any:
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    return node.api.sigmoid_hard(x=node.operand(0), alpha=_like(node, alpha), beta=_like(node, beta))


def _hard_swish(node: OnnxNode) -> Any:
    x = node.operand(0)
    return node.api.mul(x=x, y=node.api.sigmoid_hard(x=x, alpha=_like(node, 1 / 6), beta=_like(node, 0.5)))


def _swish(node: OnnxNode) -> Any:
    x, alpha = node.operand(0), node.attribute("alpha", 1.0)
    inner = x if alpha == 1.0 else node.api.mul(x=x, y=_like(node, alpha))
    return node.api.mul(x=x, y=node.api.sigmoid(x=inner))


def _mish(node: OnnxNode) -> Any:
    x = node.operand(0)
    return node.api.mul(x=x, y=node.api.tanh(x=node.api.softplus(x=x)))


def _prelu(node: OnnxNode) -> Any:
    """max(x, 0) + slope min(x, 0): a slope of any shape that broadcasts."""
    x, zero = node.operand(0), _like(node, 0.0)
    below = node.api.mul(x=node.api.minimum(x=x, y=zero), y=node.operand(1))
    return node.api.add(x=node.api.relu(x=x), y=below)


def _cast(node: OnnxNode) -> Any:
    kinds = {1: "fp32", 10: "fp16", 6: "int32", 7: "int32", 9: "bool"}
    to = node.attribute("to")
    if to not in kinds:
        raise node.refuse(f"Core ML cannot cast to ONNX's dtype {to}")
    return node.api.cast(x=node.operand(0), dtype=kinds[to])


def _where(node: OnnxNode) -> Any:
    """The operands are tiled to one shape first; Core ML's own broadcasting in `select` differs between versions."""
    import numpy

    shape = numpy.broadcast_shapes(*(node.shape(k) for k in range(3)))
    parts = [expanded(node.api, node.operand(k), shape) for k in range(3)]
    return node.api.select(cond=parts[0], a=parts[1], b=parts[2])


def expanded(mb: Any, value: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast to a shape that it fits."""
    import numpy

    if isinstance(value, numpy.ndarray):
        return numpy.ascontiguousarray(numpy.broadcast_to(value, shape))
    present = (1,) * (len(shape) - len(shape_of(value))) + shape_of(value)
    if present != shape_of(value):
        value = mb.reshape(x=value, shape=list(present))
    reps = [wanted // dim for wanted, dim in zip(shape, present, strict=True)]
    return value if set(reps) <= {1} else mb.tile(x=value, reps=reps)


def _expand(node: OnnxNode) -> Any:
    import numpy

    shape = numpy.broadcast_shapes(node.shape(0), tuple(node.whole_numbers(1)))
    return expanded(node.api, node.operand(0), shape)


def _log_softmax(node: OnnxNode) -> Any:
    x, axis = node.operand(0), node.attribute("axis", -1)
    return node.api.sub(x=x, y=node.api.reduce_log_sum_exp(x=x, axes=[axis], keep_dims=True))


def _same(node: OnnxNode) -> Any:
    return node.operand(0)


UNARY = {
    "Abs": "abs", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp", "Floor": "floor", "Not": "logical_not", "Relu": "relu",
    "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt",
    "Tanh": "tanh", "Log": "log", "Atan": "atan",
}  # fmt: skip
BINARY = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Equal": "equal", "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
    "LessOrEqual": "less_equal", "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor",
}  # fmt: skip
FOLDED: Mapping[str, Callable[[OnnxNode], Any]] = {"Max": folded("maximum"), "Min": folded("minimum"), "Sum": folded("add")}
ELEMENTWISE: Mapping[str, Converter] = {
    **{name: unary(mil) for name, mil in UNARY.items()},
    **{name: binary(mil) for name, mil in BINARY.items()},
    **FOLDED,
    "Cast": _cast,
    "Clip": _clip,
    "Div": _div,
    "Elu": with_alpha("elu", 1.0),
    "Expand": _expand,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _same,
    "LeakyRelu": with_alpha("leaky_relu", 0.01),
    "LogSoftmax": _log_softmax,
    "Mish": _mish,
    "Neg": _negative,
    "PRelu": _prelu,
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "Swish": _swish,
    "Where": _where,
}
