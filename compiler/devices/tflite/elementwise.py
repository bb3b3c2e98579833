"""ONNX's elementwise operators in LiteRT's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....targets.dtypes import DTYPES
from .node import FLOAT, Converter, TfliteNode
from .records import Tensor

INTEGERS = frozenset(row.numpy for row in DTYPES.values() if row.kind in ("int", "uint") and row.numpy)


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
    operands = [node.beside(index, node.order) for index in range(len(node.proto.input))]
    if (wanted := node.out_scales) is not None:
        operands = [node.on_grid(operand, wanted) for operand in operands]
    result = operands[0]
    for operand in operands[1:]:
        result = joined(node, code, result, operand)
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
    """int64 as int32 where all numbers are such, the quotients too (-2³¹ / -1 is none), since LiteRT divides no int64.

    Raises Refused for whole numbers over a constant 0; over a computed one LiteRT stops with an error, onnxruntime with a signal."""
    if node.dtype(0) in INTEGERS and node.is_constant(1) and not node.constant(1).all():
        raise node.refuse("whole numbers are divided by 0")
    a, b = node.beside(0, node.order), node.beside(1, node.order)
    if a.dtype != "int64":
        node.write(joined(node, "DIV", a, b))
        return
    if not node.fits_int32:
        raise node.refuse("LiteRT's DIV does not take int64, and what is divided or comes out is not known to be numbers of int32")
    node.write(cast(node, joined(node, "DIV", cast(node, a, "int32"), cast(node, b, "int32")), "int64"))


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
    "Round": "ROUND", "Sigmoid": "LOGISTIC", "Sign": "SIGN", "Sin": "SIN", "Sqrt": "SQRT", "Tanh": "TANH",
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
    "Div": _div,
    "Dropout": _identity,
    "Identity": _identity,
    "IsInf": _is_inf,
    "IsNaN": _is_nan,
    "Max": folded("MAXIMUM"),
    "Mean": _mean,
    "Min": folded("MINIMUM"),
    "Mod": _mod,
    "Mul": binary("MUL"),
    "Or": binary("LOGICAL_OR"),
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "Sub": binary("SUB"),
    "Sum": folded("ADD"),
    "Tan": _tan,
    "Where": _where,
    "Xor": _xor,
}
