"""Which constants of a graph depend on the position of a step: those that differ one place earlier."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from .errors import NotFixable
from .places import Sizes, Unrolled

SHAPING: Mapping[str, tuple[int, ...]] = {
    "Reshape": (1,), "Expand": (1,), "ConstantOfShape": (0,), "Tile": (1,), "Slice": (2,), "Split": (1,), "Resize": (3,),
    "CenterCropPad": (1,),
}  # fmt: skip
"""By operator, operands that are extents: with a cache of fixed length they are what they are when it is full."""


SUMS = frozenset({"Add", "Cast", "Identity", "Where"})
"""Operators between a number for each key and the softmax."""
MASK = 3
"""The operand of Attention that is added to the scores."""
DEEP = 8
EVEN = 1e-5
"""Relative to the first difference, how far others may be from it: some roundings."""


@dataclass(frozen=True, slots=True)
class Varying:
    """An operand of a node that is another constant at another position."""

    reader: str
    """The first tensor that the node writes."""
    operand: int
    table: np.ndarray
    """Its values for every position from 0 on, those of the step along `axis`."""
    axis: int


def varying(graphs: Unrolled, sizes: Sizes, entering: Collection[str] = ()) -> tuple[Varying, ...]:
    """In graph order. entering: tensors that hold the rows of the past alone, whose extents are none of these.

    Raises NotFixable where the graph itself changes with the position, or a constant does so in a way that is no row of a table."""
    mine, theirs = graphs.last.nodes, graphs.before.nodes
    if len(mine) != len(theirs):
        raise NotFixable(f"the graph has {len(mine)} operators at one length of the past and {len(theirs)} at another", "the whole graph")
    whole = {node.outputs[0]: node for node in graphs.first.nodes}
    found: list[Varying] = []
    for a, b in zip(mine, theirs, strict=True):
        if (a.kind, a.outputs, len(a.inputs)) != (b.kind, b.outputs, len(b.inputs)):
            raise NotFixable("the graph is another one at another length of the past", f"{a.kind} {a.name or a.outputs[0]}")
        for k in range(len(a.inputs)):
            if k in SHAPING.get(a.kind, ()) and a.outputs[0] in entering:
                continue
            one = _operand(graphs, sizes, (a, b, whole.get(a.outputs[0])), k)
            if one is not None:
                found.append(one)
    return tuple(found)


def _operand(graphs: Unrolled, sizes: Sizes, nodes: tuple[Node, Node, Node | None], k: int) -> Varying | None:
    a, b, c = nodes
    here, earlier = graphs.last.value(a.inputs[k]), graphs.before.value(b.inputs[k])
    if here is None or earlier is None:
        return None
    same = c is not None and c.kind == a.kind and len(c.inputs) == len(a.inputs)
    table = graphs.first.value(c.inputs[k]) if c is not None and same and _differs(graphs, a.inputs[k], c.inputs[k]) else None
    if here.shape == earlier.shape and np.array_equal(here, earlier) and (table is None or not _has_other_rows(table, here, sizes)):
        return None
    where = f"{a.kind} {a.name or a.outputs[0]}, operand {a.inputs[k]!r}"
    if k in SHAPING.get(a.kind, ()):
        if here.shape == earlier.shape and _counts_total(here, earlier, sizes):
            return None
        raise NotFixable("an extent depends on the position", where)
    if c is None or not same or (table := graphs.first.value(c.inputs[k])) is None:
        raise NotFixable("a constant depends on the position, and is none where all positions are computed at once", where)
    if _equal(table, here) and (_begins_with(here, earlier) or (_rises_evenly(here, earlier) and _only_weighed(graphs.last, a))):
        return None
    return _row_of(Varying(a.outputs[0], k, table, 0), here, earlier, sizes, where)


def _begins_with(here: np.ndarray, earlier: np.ndarray) -> bool:
    """Whether one is the other and a place more: a number for each key, for example, which depends on no position of a token."""
    return _equal(here[tuple(slice(0, extent) for extent in earlier.shape)], earlier)


def _rises_evenly(here: np.ndarray, earlier: np.ndarray) -> bool:
    """Whether a number for each key counts from the last one back, as MPT's do: at another length all are more by the same."""
    axes = [k for k, (a, b) in enumerate(zip(here.shape, earlier.shape, strict=True)) if a != b] if here.ndim == earlier.ndim else []
    if len(axes) != 1 or here.dtype.kind != "f":
        return False
    behind = here[(*[slice(None)] * axes[0], slice(here.shape[axes[0]] - earlier.shape[axes[0]], None))]
    steps = np.diff(here.astype(np.float64), axis=axes[0])
    return _equal(behind, earlier) and bool(np.allclose(steps, np.take(steps, [0], axis=axes[0]), rtol=EVEN, atol=0))


def _only_weighed(graph: Graph, node: Node) -> bool:
    """Whether what a sum is read for is a softmax over its last axis, in which the same number more for all keys changes nothing."""
    readers = [node]
    for _ in range(DEEP):
        if any(reader.kind not in SUMS for reader in readers):
            return False
        users = [(user, name) for reader in readers for name in reader.writes for user in graph.users(name)]
        readers = [user for user, name in users if not _weighs(graph, user, name)]
        if not readers:
            return bool(users)
    return False


def _weighs(graph: Graph, node: Node, tensor: str) -> bool:
    """Whether a node reads a tensor as scores, or as what is added to them."""
    if node.kind == "Attention":
        return node.inputs.index(tensor) == MASK
    last = len(graph.tensor(tensor).shape or ()) - 1
    return node.kind == "Softmax" and graph.attribute(node, "axis") in (-1, last)


def _differs(graphs: Unrolled, here: str, whole: str) -> bool:
    """Whether an operand has another shape where all positions are computed at once: weights have not, and are not read."""
    return graphs.last.tensor(here).shape != graphs.first.tensor(whole).shape


def _has_other_rows(table: np.ndarray, here: np.ndarray, sizes: Sizes) -> bool:
    """Whether a constant that is the same at two positions is another one at others: a number that grows to a bound, for example."""
    if table.ndim != here.ndim:
        return False
    axes = [k for k, extents in enumerate(zip(table.shape, here.shape, strict=True)) if extents == (sizes.length, sizes.tokens)]
    others = [k for k, extents in enumerate(zip(table.shape, here.shape, strict=True)) if extents[0] != extents[1]]
    return others == axes and len(axes) == 1 and not _equal(table, np.broadcast_to(np.take(here, [0], axis=axes[0]), table.shape))


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _counts_total(here: np.ndarray, earlier: np.ndarray, sizes: Sizes) -> bool:
    """Whether every number that changes is the length of past and step together."""
    changed = here != earlier
    return bool(np.all(here[changed] == sizes.length) and np.all(earlier[changed] == sizes.length - 1))


def _row_of(found: Varying, here: np.ndarray, earlier: np.ndarray, sizes: Sizes, where: str) -> Varying:
    """The operand with the axis of its table that positions are along. It is seen at two positions that its rows are those of the table."""
    table = found.table
    axes = [
        k for k, extent in enumerate(table.shape) if table.ndim == here.ndim and (extent, here.shape[k]) == (sizes.length, sizes.tokens)
    ]
    for axis in axes:
        for value, past in ((here, sizes.past), (earlier, sizes.past - 1)):
            rows = np.take(table, range(past, past + sizes.tokens), axis=axis)
            cut = rows[tuple(slice(0, extent) for extent in value.shape)]  # one place earlier there is one column less
            if cut.shape != value.shape or not np.array_equal(cut, value, equal_nan=value.dtype.kind == "f"):
                break
        else:
            return Varying(found.reader, found.operand, table, axis)
    raise NotFixable(f"a constant of shape {list(here.shape)} depends on the position, and is no row of a table of positions", where)
