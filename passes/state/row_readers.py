"""Who reads the rows of a cache, from where new ones are put behind it: until attention has closed those without a token, each row must be
computed for itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from ...targets.dtypes import LARGEST
from ..graph.graph import Graph
from ..graph.node import Node
from .closed_scores import OWN, is_causal
from .errors import NotFixable
from .grown_axes import MOVES, GrownAxes
from .places import Sizes, Unrolled
from .row_order import RowOrder

MASK = 3
EACH = MOVES | frozenset(
    "Abs Add And BitShift Ceil Clip Cos Div Equal Erf Exp Expand Floor Gelu Greater GreaterOrEqual IsNaN Less LessOrEqual Log Max Min "
    "Mod Mul Neg Not Or Pad Pow Reciprocal Relu Round Sigmoid Sign Sin Softplus Sqrt Sub Swish Tanh Tile Where Xor".split()
)
"""Operators that compute an element from those at the same place, or move elements."""
OVER_LAST = frozenset({"LayerNormalization", "RMSNormalization", "RotaryEmbedding"})
"""Operators that compute an element from those of the same row, where rows are not along the last axis."""


Range = tuple[float, float]
"""Of the numbers in rows without a token, of all of them together."""
FAR = 1e300
"""Stands for any finite number."""
FINITE: Range = (-FAR, FAR)
ENDS: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum, "Min": np.minimum, "Neg": np.negative, "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, 0.0), "Sign": np.sign, "Ceil": np.ceil, "Floor": np.floor, "Round": np.round, "Exp": np.exp,
    "Sqrt": np.sqrt, "Log": np.log,
}  # fmt: skip
"""Operators whose least and greatest results are at the ends of what they read."""
LIMITED: dict[str, Range] = {"Erf": (-1, 1), "Sigmoid": (0, 1), "Softmax": (0, 1), "Cos": (-1, 1), "Sin": (-1, 1)}
EMPTY = "a row without a token is zeros, of which an operator may make no finite number"


def check_readers(graphs: Unrolled, grown: GrownAxes, joined: Iterable[str], sizes: Sizes) -> None:
    """joined: tensors that hold the rows of caches, old and new. Raises NotFixable where something reads a row that holds no token."""
    graph, weighted = graphs.last, set[str]()
    rows = set(joined)
    empty, order = _EmptyRows(graphs, grown, rows), RowOrder(graph, grown, rows)
    for node in graph.nodes:
        held = [name for name in node.reads if name in rows]
        if not held or rows.issuperset(node.writes):
            continue
        where = f"{node.kind} {node.name or node.outputs[0]}, which reads {held[0]!r}"
        if node.kind == "Attention":
            _check_attention(graphs, node, rows, sizes, where)
        elif node.kind == "Softmax":
            _check_softmax(graphs, grown, node, sizes, where)
            rows.add(node.outputs[0])
            weighted.add(node.outputs[0])
        elif node.kind == "MatMul" and _contracts(graph, grown, node, rows):
            if not weighted.intersection(held) or not rows.issuperset(node.inputs):
                raise NotFixable("a product sums over the rows of a cache with other weights than a softmax's", where)
        elif node.kind in EACH or node.kind == "MatMul" or _within_rows(graph, grown, node, held):
            if any(grown.axis(name) is None for name in node.writes):
                raise NotFixable("something else than attention reads the rows of a cache together", where)
            rows.update(node.writes)
            if weighted.intersection(held):
                weighted.update(node.writes)
        else:
            raise NotFixable("something else than attention reads the rows of a cache together", where)
        order.follow(node, where)
        empty.follow(node, where)
    for name in rows.intersection(graph.outputs):
        if grown.axis(name) is None:
            raise NotFixable("rows of a cache go out together", repr(name))


def _check_attention(graphs: Unrolled, node: Node, rows: set[str], sizes: Sizes, where: str) -> None:
    if (
        not rows.issuperset(node.inputs[1:3])
        or any(name in rows for k, name in enumerate(node.inputs) if k not in (1, 2))
        or any(node.inputs[4:])
    ):
        raise NotFixable("attention reads the rows of a cache as something else than keys and values", where)
    if graphs.last.attribute(node, "is_causal"):
        raise NotFixable("the operator masks by itself, from the first row of the cache", where)
    whole = graphs.first.producer(node.outputs[0])
    masked = whole is not None and whole.kind == "Attention" and len(whole.inputs) > MASK and whole.inputs[MASK]
    if whole is None or not masked or not is_causal(graphs.first, whole.inputs[MASK], sizes.length, _apart(graphs.first, whole)):
        raise NotFixable("attention is not causal: a token sees those behind it, or its mask is computed from an input", where)


def _apart(graph: Graph, node: Node) -> float:
    """How far scores of an Attention may be apart, its mask left out."""
    scale, cap = graph.attribute(node, "scale"), graph.attribute(node, "softcap")
    width = (graph.tensor(node.inputs[1]).shape or (None,))[-1]
    if isinstance(cap, float) and cap > 0:
        return 2 * cap
    return OWN * abs(scale) * math.sqrt(width) if isinstance(scale, float) and isinstance(width, int) else OWN


def _check_softmax(graphs: Unrolled, grown: GrownAxes, node: Node, sizes: Sizes, where: str) -> None:
    graph, whole = graphs.last, graphs.first.producer(node.outputs[0])
    along, rank = graph.attribute(node, "axis"), len(graph.tensor(node.inputs[0]).shape or ())
    if not isinstance(along, int) or along % rank != rank - 1 or grown.axis(node.inputs[0]) != rank - 1:
        raise NotFixable("a softmax is not over the rows of a cache, or not along the last axis", where)
    if whole is None or whole.kind != "Softmax" or not is_causal(graphs.first, whole.inputs[0], sizes.length):
        raise NotFixable("attention is not causal: a token sees those behind it, or its mask is computed from an input", where)


def _contracts(graph: Graph, grown: GrownAxes, node: Node, rows: set[str]) -> bool:
    """Whether a product sums over rows."""
    for k, name in enumerate(node.inputs):
        rank = len(graph.tensor(name).shape or ())
        if name in rows and grown.axis(name) == rank - 1 - k % 2:
            return True
    return False


def _within_rows(graph: Graph, grown: GrownAxes, node: Node, held: list[str]) -> bool:
    ranks = {name: len(graph.tensor(name).shape or ()) for name in held}
    if node.kind not in OVER_LAST or any(grown.axis(name) in (None, ranks[name] - 1) for name in held):
        return False
    first, along = len(graph.tensor(node.inputs[0]).shape or ()), graph.attribute(node, "axis")
    return node.kind == "RotaryEmbedding" or along in (-1, first - 1)


class _EmptyRows:
    """What lies in the rows without a token, operator by operator: zeros at first."""

    def __init__(self, graphs: Unrolled, grown: GrownAxes, rows: set[str]) -> None:
        """rows: tensors that hold such rows, as more of them become known."""
        self._graphs, self._grown, self._rows = graphs, grown, rows
        self._ranges: dict[str, Range] = {name: (0.0, 0.0) for name in rows}

    def follow(self, node: Node, where: str) -> None:
        """Raises NotFixable where an operator may make something of them that is no number, or read something else than a number."""
        found = [self._range(node, k) for k in range(len(node.inputs)) if node.inputs[k]]
        with np.errstate(all="ignore"):
            made = self._made(node, found)
        if made is None or np.isnan(made).any():
            raise NotFixable(EMPTY, where)
        for name in self._rows.intersection(node.writes):
            self._ranges[name] = self._held(made, self._graphs.last.tensor(name).dtype)

    def _range(self, node: Node, k: int) -> Range:
        name = node.inputs[k]
        if name in self._ranges:
            return self._ranges[name]
        whole = self._graphs.first.producer(node.outputs[0])
        beside = whole is not None and whole.kind == node.kind and len(whole.inputs) > k
        values = [] if node.kind == "MatMul" else [self._graphs.last.value(name)]  # a weight is the same for all rows, and may be large
        if whole is not None and beside and values:
            values.append(self._graphs.first.value(whole.inputs[k]))
        numbers = [value for value in values if value is not None and value.size and value.dtype.kind not in "OUSc"]
        if not numbers or values[0] is None:
            return FINITE
        return float(min(value.min() for value in numbers)), float(max(value.max() for value in numbers))

    def _made(self, node: Node, found: Sequence[Range]) -> Range | None:
        kind, finite = node.kind, bool(np.isfinite(found).all())
        if kind in MOVES or kind in ("Expand", "Pad", "Tile", "Where"):
            return self._moved(node, found)
        if kind in ("MatMul", "Attention"):
            zero = kind == "MatMul" and any(one == (0.0, 0.0) for one in found)
            return ((0.0, 0.0) if zero else FINITE) if finite or (kind == "Attention" and np.isfinite(found[1:3]).all()) else None
        if kind == "Softmax":
            return None if found[0][1] == np.inf else LIMITED[kind]
        if kind in OVER_LAST:
            return FINITE if finite and (kind == "RotaryEmbedding" or self._guarded(node)) else None
        if kind in ("Max", "Min") and len(found) == 1:
            return found[0]
        if kind in ENDS:
            return _ends(ENDS[kind], found, inner=kind == "Mul", new=kind in ("Exp", "Log"))
        if kind == "Clip":
            low, high = (found[1] if len(node.inputs) > 1 and node.inputs[1] else found[0]), found[-1]
            clipped = _ends(np.maximum, (found[0], low))
            return clipped if clipped is None or len(node.inputs) < 3 or not node.inputs[2] else _ends(np.minimum, (clipped, high))
        if kind == "Reciprocal":
            return _quotient((1.0, 1.0), found[0])
        if kind == "Div":
            return _quotient(*found) if not self._shared(node, 1) else (found[0] if found[0] == (0.0, 0.0) else FINITE)
        if kind == "Mod":
            far = max(map(abs, found[1]))
            return (-far, far) if finite and not _has_zero(found[1]) else None
        if kind == "Pow":
            return _power(*found)
        if kind == "Abs":
            return _ends(np.abs, [*found]) if not _has_zero(found[0]) else (0.0, max(map(abs, found[0])))
        if self._graphs.last.tensor(node.outputs[0]).dtype == "bool":
            return 0.0, 1.0
        return LIMITED.get(kind, FINITE) if finite else None

    def _moved(self, node: Node, found: Sequence[Range]) -> Range | None:
        """Where to take elements from, and how many, is said by no row; an index may be one of the first element."""
        if node.kind in ("Concat", "Where"):
            parts = found[node.kind == "Where" :]
        elif node.kind == "Gather":
            shape, along = self._graphs.last.tensor(node.inputs[0]).shape or (), self._graphs.last.attribute(node, "axis")
            extent = shape[along] if shape and isinstance(along, int) else None
            low, high = found[1]
            if node.inputs[1] in self._ranges and (not isinstance(extent, int) or low < -extent or high >= extent):
                return None
            parts = found[:1]
        else:
            if any(name in self._ranges for name in node.inputs[1:]):
                return None
            parts = found[:1]
            if node.kind == "Pad":
                parts = [*parts, found[2] if len(node.inputs) > 2 and node.inputs[2] else (0.0, 0.0)]
        return min(one[0] for one in parts), max(one[1] for one in parts)

    def _guarded(self, node: Node) -> bool:
        """Whether a normalization divides by more than 0 where all is 0."""
        graph = self._graphs.last
        epsilon, half = graph.attribute(node, "epsilon"), graph.attribute(node, "stash_type") == 10
        return isinstance(epsilon, float) and float(np.float16(epsilon) if half else np.float32(epsilon)) > 0

    def _shared(self, node: Node, k: int) -> bool:
        """Whether an operand is computed, and the same for all rows: those of tokens are divided by it as well."""
        graph, name = self._graphs.last, node.inputs[k]
        shape, rank = graph.tensor(name).shape, len(graph.tensor(node.outputs[0]).shape or ())
        axis = self._grown.axis(node.outputs[0])
        if name in self._ranges or graph.value(name) is not None or shape is None or axis is None:
            return False
        along = axis - rank + len(shape)
        return along < 0 or shape[along] == 1

    def _held(self, made: Range, dtype: str) -> Range:
        """As numbers of a dtype: what is too large for it is infinite, or another integer."""
        if dtype.startswith(("int", "uint")) and dtype.lstrip("uint").isdigit():
            bits = int(dtype.lstrip("uint"))
            low, high = (0.0, 2.0**bits - 1) if dtype.startswith("u") else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
            return made if low <= made[0] and made[1] <= high else (low, high)
        limit = LARGEST.get(dtype, FAR)
        low, high = (float(np.copysign(np.inf, end)) if limit < abs(end) < FAR else end for end in made)
        return low, high


def _has_zero(one: Range) -> bool:
    return one[0] <= 0 <= one[1]


def _ends(function: Callable[..., Any], found: Sequence[Range], inner: bool = False, new: bool = False) -> Range | None:
    """inner: infinity times what may be 0 is no number; new: something infinite of what is finite is none either."""
    if inner and any(_has_zero(a) and not np.isfinite(b).all() for a, b in (found, found[::-1])):
        return None
    if len(found) == 1:
        ends = [float(function(end)) for end in found[0]]
    else:
        ends = [float(reduce(function, few)) for few in product(*found)]
    if np.isnan(ends).any() or (new and not np.isfinite(ends).all()):
        return None
    low, high = (float(np.copysign(FAR, end)) if 1e100 < abs(end) < np.inf else end for end in (min(ends), max(ends)))
    return low, high


def _quotient(dividend: Range, divisor: Range) -> Range | None:
    return None if _has_zero(divisor) else _ends(np.divide, (dividend, divisor), new=True)


def _power(base: Range, exponent: Range) -> Range | None:
    if base[0] > 0:
        return _ends(np.power, (base, exponent), new=True)
    if exponent[0] != exponent[1] or exponent[0] < 0 or (base[0] < 0 and exponent[0] != round(exponent[0])):
        return None
    most = max(float(np.power(abs(end), exponent[0])) for end in base) if exponent[0] else 1.0
    return (0.0 if base[0] == 0 else -min(most, FAR)), min(most, FAR)
