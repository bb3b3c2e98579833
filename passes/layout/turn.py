"""What it takes to compute an operator on operands whose axes are in another order, with the result in that order too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...targets.operator_view import AttributeValue
from ..graph.graph import Graph
from ..graph.node import Node

Order = tuple[int, ...]
"""Axis k of the new tensor is axis order[k] of the old one, as `perm` of Transpose says it."""
Constant = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Turn:
    """How one operator changes. Operands and results are counted as the node has them; what is not named stays as it is."""

    operands: tuple[int, ...]
    """Operands of the full rank that must come in the new order."""
    results: tuple[int, ...] = (0,)
    """Results of the full rank, which come in the new order."""
    constants: Mapping[int, Constant] = field(default_factory=dict)
    """Operands that are other constants then."""
    stored: Mapping[int, Constant] = field(default_factory=dict)
    """Operands that a DequantizeLinear with one scale makes of a constant: what it is to be made of then."""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    smaller_operands: Mapping[int, Order] = field(default_factory=dict)
    """Operands of a lower rank, and the order that they must come in."""
    smaller_results: Mapping[int, Order] = field(default_factory=dict)
    """Results of a lower rank, and the order that they come in."""
    sums: bool = False
    """Whether numbers are added up along axes: in another order they round differently."""


def inverse(order: Order) -> Order:
    """The order that undoes it."""
    return tuple(order.index(axis) for axis in range(len(order)))


def after(first: Order, second: Order) -> Order:
    """Transpose(Transpose(x; first); second) as one Transpose of x."""
    return tuple(first[axis] for axis in second)


def is_identity(order: Order) -> bool:
    return order == tuple(range(len(order)))


def induced(order: Order, axes: frozenset[int]) -> Order:
    """The order of what is left of a tensor in that order once these (old) axes are taken out."""
    left = [axis for axis in range(len(order)) if axis not in axes]
    return tuple(left.index(axis) for axis in order if axis not in axes)


def rank(graph: Graph, tensor: str) -> int | None:
    shape = graph.tensor(tensor).shape
    return None if shape is None else len(shape)


def integers(graph: Graph, node: Node, attribute: str, operand: int) -> tuple[int, ...] | None:
    """Of an attribute, or of a constant operand that later opsets have instead; () where neither is given, None where it varies."""
    given = node.attribute(attribute)
    if isinstance(given, tuple):
        return tuple(int(item) for item in given)
    if isinstance(given, int):
        return (given,)
    if len(node.inputs) <= operand or not node.inputs[operand]:
        return ()
    value = graph.value(node.inputs[operand])
    return None if value is None else tuple(int(item) for item in value.reshape(-1))


def turned(value: np.ndarray, order: Order) -> np.ndarray:
    """A constant that is broadcast to a tensor of that rank, in the new order."""
    full = value.reshape((1,) * (len(order) - value.ndim) + value.shape)
    return np.ascontiguousarray(full.transpose(order))
