"""Comparisons, ONNX's operators on truth values and on bits, and what chooses by them, as Core AI's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode
from .elementwise import binary, unary
from .tensor import like, tensor


def _less(node: OnnxNode) -> Any:
    return node.api.broadcasting_greater(tensor(node, 1), tensor(node, 0))


def _or_equal(first: int, second: int) -> Converter:
    """Not the negation of the opposite: what is not a number is in no order."""

    def convert(node: OnnxNode) -> Any:
        x, y = tensor(node, first), tensor(node, second)
        return node.api.broadcasting_or(node.api.broadcasting_greater(x, y), node.api.broadcasting_equal(x, y))

    return convert


def _where(node: OnnxNode) -> Any:
    return node.api.broadcasting_where(tensor(node, 0), tensor(node, 1), tensor(node, 2))


def _is_inf(node: OnnxNode) -> Any:
    import numpy

    x, up, down = tensor(node, 0), node.attribute("detect_positive", 1), node.attribute("detect_negative", 1)
    if not up and not down:
        raise node.refuse("it detects nothing")
    compared = node.api.abs_(x) if up and down else x
    return node.api.broadcasting_equal(compared, like(x, numpy.inf if up else -numpy.inf))


def _is_nan(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    return node.api.broadcasting_not_equal(x, x)


LOGIC: Mapping[str, Converter] = {
    "And": binary("broadcasting_and"),
    "BitwiseAnd": binary("broadcasting_bitwise_and"),
    "BitwiseOr": binary("broadcasting_bitwise_or"),
    "BitwiseXor": binary("broadcasting_bitwise_xor"),
    "Equal": binary("broadcasting_equal"),
    "Greater": binary("broadcasting_greater"),
    "GreaterOrEqual": _or_equal(0, 1),
    "IsInf": _is_inf,
    "IsNaN": _is_nan,
    "Less": _less,
    "LessOrEqual": _or_equal(1, 0),
    "Not": unary("not_"),
    "Or": binary("broadcasting_or"),
    "Where": _where,
    "Xor": binary("broadcasting_xor"),
}
