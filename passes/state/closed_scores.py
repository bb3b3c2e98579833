"""Whether what a model itself adds to its scores, or puts in their place, closes every position behind a token's own.

It is read where all positions are computed at once: a mask is then a constant of [positions, positions]. From constants on, bounds of a
score are followed to the softmax; what is computed from inputs counts as 0 there, or as `Bounds.gain` times a score of OWN.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ...targets.dtypes import LARGEST
from ..formula.closed_rows import CLOSED
from ..graph.graph import Graph
from ..graph.node import Node

DEEP = 32
"""Operators before a softmax that are looked at."""
OWN = 100.0
"""A score that a model computes is taken to be smaller."""
MOVED = frozenset({"Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
PRODUCTS = frozenset({"Attention", "Conv", "Einsum", "Gemm", "LayerNormalization", "MatMul", "RMSNormalization", "Softmax"})
"""What these compute is new: what went in says nothing of its size."""
WIDE = LARGEST.keys()
"""Numbers that hold a closed score as it is, or as -∞."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the known part of a score in all heads: arrays that broadcast to [positions, positions]."""

    low: np.ndarray
    high: np.ndarray
    gain: float = 0.0
    """By how much what is computed is multiplied."""


ZERO, ONE = np.zeros((), np.float32), np.ones((), np.float32)
COMPUTED = Bounds(ZERO, ZERO, 1.0)
TRUTH = Bounds(ZERO, ONE)
"""A boolean that is not known; true is 1."""
ANYTHING = Bounds(-ONE * np.inf, ONE * np.inf)


def is_causal(graph: Graph, tensor: str, length: int, own: float = 0.0) -> bool:
    """Whether scores [..., positions, positions], or the mask of an Attention, close all that is behind the own position. graph: all
    `length` tokens at once; own: how far scores may be apart that an Attention adds its mask to."""
    square = length, length
    behind = np.triu(np.ones(square, bool), 1)
    with np.errstate(over="ignore", invalid="ignore"):  # NaN is below no limit
        found = _Scores(graph, length).bounds(tensor, tensor, DEEP)
        low, high = np.broadcast_to(found.low, square), np.broadcast_to(found.high, square)
        greatest = np.where(behind, -np.inf, low).max(axis=1, keepdims=True)  # where all are as low, none is closed
        if graph.tensor(tensor).dtype == "bool":
            return bool(np.all((high <= 0) >= behind) and np.all(greatest > 0))
        if np.any(greatest <= CLOSED):  # nothing is left of scores in a sum with such a number
            return False
        return bool(np.all((high - np.minimum(greatest, 0) <= min(CLOSED, -own, -OWN * found.gain)) >= behind))


class _Scores:
    """Bounds of tensors, each once."""

    def __init__(self, graph: Graph, length: int) -> None:
        self._graph, self._length = graph, length
        self._known: dict[str, Bounds] = {}

    def bounds(self, tensor: str, beside: str, left: int) -> Bounds:
        """beside: the tensor that this one is broadcast to."""
        value, node = self._graph.value(tensor), self._graph.producer(tensor)
        if value is not None:
            return self._constant(value, self._rows(beside))
        if node is None:
            return TRUTH if self._graph.tensor(tensor).dtype == "bool" else COMPUTED
        if not left:
            return ANYTHING
        if tensor not in self._known:
            self._known[tensor] = self._made(node, tensor, left - 1)
        return self._known[tensor]

    def _made(self, node: Node, tensor: str, left: int) -> Bounds:
        kind, graph = node.kind, self._graph
        if kind in PRODUCTS:
            return COMPUTED
        if kind == "Concat":
            return _hull(self.bounds(name, name, left) for name in self._parts(node))
        if kind in MOVED and self._keeps_rows(kind, node.inputs[0], tensor):
            return self.bounds(node.inputs[0], node.inputs[0], left)
        if kind == "Cast" and graph.tensor(tensor).dtype in WIDE:
            return self.bounds(node.inputs[0], tensor, left)
        if kind in TERMS or kind in ("Where", "Neg", "Tanh") or self._scales(node):
            return self._computed(node, [self.bounds(name, tensor, left) for name in node.inputs if name])
        if graph.tensor(tensor).dtype == "bool":
            return TRUTH
        numbers = (name for name in node.reads if name == node.inputs[0] or graph.tensor(name).dtype in WIDE)
        found = [self.bounds(name, name, left) for name in numbers]
        small = all(bool(np.all((one.low > CLOSED) & (one.high < -CLOSED))) for one in found)
        return Bounds(COMPUTED.low, COMPUTED.high, max((1.0, *(one.gain for one in found)))) if small else ANYTHING

    def _computed(self, node: Node, found: list[Bounds]) -> Bounds:
        first = found[0]
        if node.kind == "Tanh":
            return Bounds(-ONE, ONE)
        if node.kind == "Neg":
            return Bounds(-first.high, -first.low, first.gain)
        if node.kind == "Sub":
            return Bounds(first.low - found[1].high, first.high - found[1].low, first.gain + found[1].gain)
        if node.kind == "Where":
            return _chosen(*found)
        if node.kind in ("Mul", "Div"):
            other = found[1]
            if self._graph.value(node.inputs[0]) is not None:
                first, other = other, first
            if node.kind == "Div":
                other = Bounds(1 / other.high, 1 / other.low)
            ends = [a * b for a in (first.low, first.high) for b in (other.low, other.high)]
            most = float(max(np.max(np.abs(other.low)), np.max(np.abs(other.high))))
            return Bounds(reduce(np.minimum, ends), reduce(np.maximum, ends), first.gain * most)
        step = TERMS[node.kind]
        gains = [one.gain for one in found]
        gain = sum(gains) if node.kind in ("Add", "Sum") else max(gains)
        return Bounds(reduce(step, (one.low for one in found)), reduce(step, (one.high for one in found)), gain)

    def _scales(self, node: Node) -> bool:
        """Whether one factor of a product is constant, or a divisor that is nowhere 0 and of one sign."""
        graph = self._graph
        if node.kind == "Mul":
            return any(graph.value(name) is not None for name in node.inputs)
        value = graph.value(node.inputs[1]) if node.kind == "Div" else None
        return value is not None and bool(np.all(value > 0) or np.all(value < 0))

    def _parts(self, node: Node) -> list[str]:
        """Those that may hold scores of rows: a score beside them, as attention sinks are, closes and opens none."""
        rank, along = len(self._graph.tensor(node.outputs[0]).shape or ()), self._graph.attribute(node, "axis")
        if not rank or not isinstance(along, int) or along % rank != rank - 1:
            return node.inputs
        rows = [name for name in node.inputs if (self._graph.tensor(name).shape or (None,))[-1] == self._length]
        return rows or node.inputs

    def _keeps_rows(self, kind: str, tensor: str, moved: str) -> bool:
        """Whether scores of one token stay side by side, along the last axis, and tokens on an axis that is known."""
        here, there = self._graph.tensor(tensor).shape, self._graph.tensor(moved).shape
        if not here or not there:
            return False
        if kind == "Expand":
            return self._length not in here[:-1] or self._rows(tensor) == self._rows(moved)
        if here[-1] != there[-1]:
            return False
        if [extent for extent in here if extent != 1] == [extent for extent in there if extent != 1] or here[-2:] == there[-2:]:
            return True
        return here[-2:] == (self._length, self._length) and self._length not in there[:-1]

    def _rows(self, tensor: str) -> int:
        """The axis that tokens are along, from the last one back: rows may stand on another one than the last but one."""
        shape = self._graph.tensor(tensor).shape or ()
        return next((axis for axis in range(-2, -len(shape) - 1, -1) if shape[axis] == self._length), -2)

    def _constant(self, value: np.ndarray, rows: int) -> Bounds:
        if not value.size or value.dtype.kind in "OUSMmc":  # of numbers that numpy does not have, bfloat16 is "V"
            return ANYTHING
        shaped = value.reshape((1,) * max(0, -rows - value.ndim) + value.shape)
        others = tuple(axis for axis in range(shaped.ndim - 1) if axis != shaped.ndim + rows)
        low, high = (np.asarray(found, np.float32) for found in (shaped.min(axis=others), shaped.max(axis=others)))
        if all(extent in (1, self._length) for extent in low.shape):
            return Bounds(low, high)
        return Bounds(low.min(), high.max())


def _hull(found: Iterable[Bounds]) -> Bounds:
    parts = list(found)
    return Bounds(
        reduce(np.minimum, (one.low for one in parts)), reduce(np.maximum, (one.high for one in parts)), max(one.gain for one in parts)
    )


def _chosen(condition: Bounds, a: Bounds, b: Bounds) -> Bounds:
    """Where(condition, a, b): what is taken in all heads, else either."""
    both, true, false = _hull((a, b)), condition.low >= 1, condition.high <= 0
    low = np.where(true, a.low, np.where(false, b.low, both.low))
    return Bounds(low, np.where(true, a.high, np.where(false, b.high, both.high)), both.gain)


TERMS: dict[str, Callable[..., np.ndarray]] = {
    "Add": operator.add,
    "Sum": operator.add,
    "Sub": operator.sub,
    "Max": np.maximum,
    "Min": np.minimum,
}
