"""ONNX's elementwise operators in LiteRT's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .node import FLOAT, Converter, TfliteNode

from .program import Tensor

INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def unary(code: str) -> Converter:
    """An operator of one operand, by the name of LiteRT's; so in all of this file."""
    return lambda node: node.write(node.emit(code, [node.read(0)]))


def binary(code: str, dtype: str | None = None) -> Converter:
    """An operator of two operands that broadcast."""

    def convert(node: TfliteNode) -> None:
        node.write(joined(node, code, node.beside(0, node.order), node.beside(1, node.order), dtype))

    return convert


def folded(code: str) -> Converter:
    """An operator of one or more operands, as a chain of binary ones."""
    return lambda node: node.write(_chain(node, code))


def _chain(node: TfliteNode, code: str) -> Tensor:
    result = node.beside(0, node.order)
    for index in range(1, len(node.proto.input)):
        result = joined(node, code, result, node.beside(index, node.order))
    return result


def joined(node: TfliteNode, code: str, a: Tensor, b: Tensor, dtype: str | None = None) -> Tensor:
    """A binary operator of stored tensors, of the shape to which both broadcast."""
    import numpy

    return node.emit(code, [a, b], numpy.broadcast_shapes(a.shape, b.shape), dtype=dtype or a.dtype)


def scaled(node: TfliteNode, x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else joined(node, "MUL", x, node.like(factor, x))


def shifted(node: TfliteNode, x: Tensor, by: float) -> Tensor:
    return x if by == 0 else joined(node, "ADD", x, node.like(by, x))


def _identity(node: TfliteNode) -> None:
    if len(node.proto.output) > 1 and node.proto.output[1]:
        raise node.refuse("its mask is not converted")
    if node.has(2) and node.proto.op_type == "Dropout" and node.constant(2).any():
        raise node.refuse("training is not converted")
    node.write(node.read(0))


def _mean(node: TfliteNode) -> None:
    node.write(scaled(node, _chain(node, "ADD"), 1 / len(node.proto.input)))


def _reciprocal(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "DIV", node.like(1, x), x))


def _pow(node: TfliteNode) -> None:
    """Squares and square roots as such. Raises Refused where base and exponent have different dtypes and the exponent is computed."""
    x = node.beside(0, node.order)
    exponent = node.constant(1).reshape(-1) if node.is_constant(1) else None
    if exponent is not None and exponent.size == 1 and x.dtype == FLOAT and x.shape == _stored_out(node):
        if exponent[0] == 2:
            node.write(joined(node, "MUL", x, x))
            return
        if exponent[0] == 1:
            node.write(x)
            return
    if exponent is not None:
        values = node.constant(1)
        if x.dtype in INTEGERS and (values.astype(x.dtype) != values).any():
            raise node.refuse("whole numbers to a power that is not whole are not converted")
        if x.dtype in INTEGERS and (values < 0).any():
            raise node.refuse("whole numbers to a negative power are not converted")
        wide = values.reshape((1,) * (len(node.order) - values.ndim) + values.shape).transpose(node.order)
        node.write(joined(node, "POW", x, node.like(wide, x)))
        return
    y = node.beside(1, node.order)
    if x.dtype in INTEGERS:
        raise node.refuse("whole numbers to a power that is computed are not converted: it may be negative")
    node.write(joined(node, "POW", x, cast(node, y, x.dtype)))


def _stored_out(node: TfliteNode) -> tuple[int, ...]:
    return tuple(node.out_shape()[axis] for axis in node.order)


def _mod(node: TfliteNode) -> None:
    """With `fmod` the sign is the dividend's: sign(a) · (|a| mod |b|)."""
    a, b = node.beside(0, node.order), node.beside(1, node.order)
    if not node.attribute("fmod", 0):
        node.write(joined(node, "FLOOR_MOD", a, b))
        return
    size = joined(node, "FLOOR_MOD", node.emit("ABS", [a]), node.emit("ABS", [b]))
    node.write(joined(node, "MUL", node.emit("SIGN", [a]), size))


def _div(node: TfliteNode) -> None:
    """Raises Refused for whole numbers over a constant 0; over a computed one LiteRT stops with an error, onnxruntime with a signal."""
    if node.dtype(0) in INTEGERS and node.is_constant(1) and not node.constant(1).all():
        raise node.refuse("whole numbers are divided by 0")
    node.write(joined(node, "DIV", node.beside(0, node.order), node.beside(1, node.order)))


def _prelu(node: TfliteNode) -> None:
    """max(x, 0) + slope · min(x, 0); as PRELU where the slope is one for each channel that is stored last."""
    x, slope = node.beside(0, node.order), node.beside(1, node.order)
    per_channel = slope.data is not None and slope.rank == x.rank == 4 and slope.shape[:-1] == (1, 1, 1)
    if per_channel and x.dtype == FLOAT:
        node.write(node.emit("PRELU", [x, node.reshape(slope, slope.shape[1:])]))
        return
    below = joined(node, "MUL", _negative_part(node, x), slope)
    node.write(joined(node, "ADD", node.emit("RELU", [x]), below))


def _negative_part(node: TfliteNode, x: Tensor) -> Tensor:
    return joined(node, "MINIMUM", x, node.like(0, x))


def _leaky_relu(node: TfliteNode) -> None:
    node.write(node.emit("LEAKY_RELU", [node.read(0)], alpha=node.attribute("alpha", 0.01)))


def _elu(node: TfliteNode) -> None:
    _exponential(node, node.attribute("alpha", 1.0), 1.0, 1.0)


def _celu(node: TfliteNode) -> None:
    alpha = node.attribute("alpha", 1.0)
    _exponential(node, alpha, 1.0, alpha)


def _selu(node: TfliteNode) -> None:
    """The defaults are ONNX's."""
    alpha, gamma = node.attribute("alpha", 1.6732632423543772), node.attribute("gamma", 1.0507009873554804)
    _exponential(node, alpha * gamma, gamma, 1.0)


def _exponential(node: TfliteNode, below: float, above: float, stretch: float) -> None:
    """above · max(x, 0) + below · (exp(min(x, 0) / stretch) - 1). LiteRT's ELU has no factors of its own."""
    x = node.read(0)
    if below == above == stretch == 1:
        node.write(node.emit("ELU", [x]))
        return
    low = node.emit("ELU", [scaled(node, _negative_part(node, x), 1 / stretch)])
    node.write(joined(node, "ADD", scaled(node, node.emit("RELU", [x]), above), scaled(node, low, below)))


def _hard_sigmoid(node: TfliteNode) -> None:
    x = scaled(node, node.read(0), node.attribute("alpha", 0.2))
    node.write(node.emit("RELU_0_TO_1", [shifted(node, x, node.attribute("beta", 0.5))]))


def _softplus(node: TfliteNode) -> None:
    """log(1 + exp(x)) = max(x, 0) + log1p(e), e = exp(-|x|), which does not overflow. log1p(e) = e · log(u) / (u - 1) with u = 1 + e, which
    does not lose a small e (W. Kahan; HP-15C Advanced Functions Handbook, appendix)."""
    x = node.read(0)
    e = node.emit("EXP", [node.emit("NEG", [node.emit("ABS", [x])])])
    u = shifted(node, e, 1)
    above = shifted(node, u, -1)
    nothing = joined(node, "EQUAL", above, node.like(0, above), "bool")
    divisor = node.emit("SELECT_V2", [nothing, node.like(1, above), above], above.shape, dtype=x.dtype)
    slope = node.emit("SELECT_V2", [nothing, node.like(1, above), joined(node, "DIV", node.emit("LOG", [u]), divisor)], x.shape, dtype=x.dtype)
    node.write(joined(node, "ADD", node.emit("RELU", [x]), joined(node, "MUL", e, slope)))


MISH_IS_LINEAR = 20.0
"""From here on tanh(log(1 + exp(x))) is 1 in float32, and exp(x)^2 is far from infinite."""


def _mish(node: TfliteNode) -> None:
    """x · tanh(log(1 + exp(x))) = x · n / (n + 2) with n = w · (w + 2), w = exp(x)."""
    x = node.read(0)
    w = node.emit("EXP", [joined(node, "MINIMUM", x, node.like(MISH_IS_LINEAR, x))])
    n = joined(node, "MUL", w, shifted(node, w, 2))
    node.write(joined(node, "MUL", x, joined(node, "DIV", n, shifted(node, n, 2))))


def _softsign(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "DIV", x, shifted(node, node.emit("ABS", [x]), 1)))


def _swish(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "MUL", x, node.emit("LOGISTIC", [scaled(node, x, node.attribute("alpha", 1.0))])))


def _hard_swish(node: TfliteNode) -> None:
    node.write(node.emit("HARD_SWISH", [node.read(0)]))


def _thresholded(node: TfliteNode) -> None:
    x = node.read(0)
    above = joined(node, "GREATER", x, node.like(node.attribute("alpha", 1.0), x), "bool")
    node.write(node.emit("SELECT_V2", [above, x, node.like(0, x)], x.shape, dtype=x.dtype))


def _gelu(node: TfliteNode) -> None:
    node.write(node.emit("GELU", [node.read(0)], approximate=node.attribute("approximate", "none") == "tanh"))


def _erf(node: TfliteNode) -> None:
    raise node.refuse("LiteRT has no Erf outside GELU")


def _clip(node: TfliteNode) -> None:
    x = node.read(0)
    bounds = [node.constant(k).item() if node.is_constant(k) else None for k in (1, 2)]
    if x.dtype == FLOAT and bounds in ([0.0, 6.0], [0.0, 1.0]):
        node.write(node.emit("RELU6" if bounds[1] == 6 else "RELU_0_TO_1", [x]))
        return
    for index, code in ((1, "MAXIMUM"), (2, "MINIMUM")):
        if node.has(index):
            x = joined(node, code, x, node.read(index, ()))
    node.write(x)


def _tan(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "DIV", node.emit("SIN", [x]), node.emit("COS", [x])))


def _xor(node: TfliteNode) -> None:
    node.write(joined(node, "NOT_EQUAL", node.beside(0, node.order), node.beside(1, node.order), "bool"))


def _where(node: TfliteNode) -> None:
    import numpy

    parts = [node.beside(index, node.order) for index in range(3)]
    shape = numpy.broadcast_shapes(*(part.shape for part in parts))
    node.write(node.emit("SELECT_V2", parts, shape, dtype=parts[1].dtype))


def _cast(node: TfliteNode) -> None:
    from .file import TYPES

    x, dtype = node.read(0), node.out_dtype()
    if dtype not in TYPES:
        raise node.refuse(f"LiteRT has no {dtype}")
    if x.dtype == dtype:
        node.write(x)
        return
    node.write(cast(node, x, dtype))


def cast(node: TfliteNode, x: Tensor, dtype: str) -> Tensor:
    from ai_edge_litert import schema_py_generated as schema

    from .file import TYPES

    def number(name: str) -> Any:
        return getattr(schema.TensorType, TYPES[name])

    if x.dtype == dtype:
        return x
    return node.emit("CAST", [x], x.shape, dtype=dtype, inDataType=number(x.dtype), outDataType=number(dtype))


def _is_nan(node: TfliteNode) -> None:
    x = node.read(0)
    node.write(joined(node, "NOT_EQUAL", x, x, "bool"))


def _is_inf(node: TfliteNode) -> None:
    x = node.read(0)
    above, below = node.attribute("detect_positive", 1), node.attribute("detect_negative", 1)
    if above and below:
        x = node.emit("ABS", [x])
    elif below:
        x = node.emit("NEG", [x])
    if not above and not below:
        raise node.refuse("without detect_positive and detect_negative it is not converted")
    node.write(joined(node, "EQUAL", x, node.like(float("inf"), x), "bool"))


UNARY = {
    "Abs": "ABS", "Ceil": "CEIL", "Cos": "COS", "Exp": "EXP", "Floor": "FLOOR", "Log": "LOG", "Neg": "NEG", "Not": "LOGICAL_NOT",
    "Relu": "RELU", "Round": "ROUND", "Sigmoid": "LOGISTIC", "Sign": "SIGN", "Sin": "SIN", "Sqrt": "SQRT", "Tanh": "TANH",
}  # fmt: skip
COMPARISONS = {
    "Equal": "EQUAL", "Greater": "GREATER", "GreaterOrEqual": "GREATER_EQUAL", "Less": "LESS", "LessOrEqual": "LESS_EQUAL",
}  # fmt: skip
ELEMENTWISE: Mapping[str, Converter] = {
    **{name: unary(code) for name, code in UNARY.items()},
    **{name: binary(code, "bool") for name, code in COMPARISONS.items()},
    "Add": binary("ADD"),
    "And": binary("LOGICAL_AND"),
    "BitwiseXor": binary("BITWISE_XOR"),
    "Cast": _cast,
    "CastLike": _cast,
    "Celu": _celu,
    "Clip": _clip,
    "Div": _div,
    "Dropout": _identity,
    "Elu": _elu,
    "Erf": _erf,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _identity,
    "IsInf": _is_inf,
    "IsNaN": _is_nan,
    "LeakyRelu": _leaky_relu,
    "Max": folded("MAXIMUM"),
    "Mean": _mean,
    "Min": folded("MINIMUM"),
    "Mish": _mish,
    "Mod": _mod,
    "Mul": binary("MUL"),
    "Or": binary("LOGICAL_OR"),
    "PRelu": _prelu,
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "Selu": _selu,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Sub": binary("SUB"),
    "Sum": folded("ADD"),
    "Swish": _swish,
    "Tan": _tan,
    "ThresholdedRelu": _thresholded,
    "Where": _where,
    "Xor": _xor,
}
