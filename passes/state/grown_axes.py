"""Which axis of a tensor has a place for each row of a cache: the one that is a place longer where the past is a row longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from .errors import NotFixable
from .places import Cache, Sizes, Unrolled

MOVES = frozenset({"Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that may stand before the Concat that puts new rows behind a cache, or between it and the output: they compute nothing."""
STAYS = frozenset({"Cast", "Concat", "Identity", "Squeeze", "Transpose", "Unsqueeze"})
"""Those that have all rows in their order, whatever they do along other axes."""


class GrownAxes:
    """Of the tensors of a step, by their shapes with one row of the past less."""

    def __init__(self, graphs: Unrolled) -> None:
        self._last, self._before = graphs.last, graphs.before
        self._known: dict[str, int | None] = {}

    def axis(self, tensor: str) -> int | None:
        """None for a tensor that has no such axis, or several."""
        if tensor not in self._known:
            self._known[tensor] = self._find(tensor)
        return self._known[tensor]

    def _find(self, tensor: str) -> int | None:
        here, earlier = self._last.tensor(tensor).shape, self._before.tensor(tensor).shape
        if here is None or earlier is None or len(here) != len(earlier):
            return None
        changed = [k for k, (a, b) in enumerate(zip(here, earlier, strict=True)) if a != b]
        if len(changed) != 1:
            return None
        a, b = here[changed[0]], earlier[changed[0]]
        return changed[0] if isinstance(a, int) and isinstance(b, int) and a == b + 1 else None


@dataclass(frozen=True, slots=True)
class Join:
    """Concat(past, new) along the rows of a cache, or of part of one."""

    node: Node
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """How a cache comes in."""

    joins: tuple[Join, ...]
    moved: Mapping[str, int]
    """By tensor between the input and the joins, the input included, the axis of its rows."""


def entering(graph: Graph, grown: GrownAxes, cache: Cache, sizes: Sizes) -> Entering:
    """Ends of slices that take all rows are put behind the last one of `sizes.length`. Raises NotFixable where a cache does anything else
    than growing behind its last row."""
    moved: dict[str, int] = {}
    joins: dict[str, Join] = {}
    slices: list[tuple[Node, int]] = []
    pending = [cache.past]
    while pending:
        tensor = pending.pop()
        axis = grown.axis(tensor)
        if axis is None or (graph.tensor(tensor).shape or ())[axis] != sizes.past:
            raise NotFixable("the rows of a cache are not along one axis", f"{tensor!r}, of the cache {cache.past!r}")
        moved[tensor] = axis
        for node in graph.users(tensor):
            if _joins(graph, node, axis) and node.inputs[0] == tensor and node.inputs[1] != tensor:
                _check_fits(graph, cache, node, axis)
                joins[node.outputs[0]] = Join(node, axis)
            elif node.kind in MOVES and not _joins(graph, node, axis):
                if node.kind not in STAYS and not _keeps_rows(graph, grown, node, axis, sizes):
                    where = f"{cache.past!r}, read by {node.kind} {node.name or node.outputs[0]}"
                    raise NotFixable("the rows of a cache are not all taken, in their order, before new ones are put behind them", where)
                slices += [(node, axis)] if node.kind == "Slice" else []
                pending += [name for name in node.writes if name not in moved]
            else:
                where = f"{cache.past!r}, read by {node.kind} {node.name or node.outputs[0]}"
                raise NotFixable("something else reads the past of a cache than a Concat that puts new rows behind it", where)
    if not joins:
        raise NotFixable("nothing puts new rows behind the past of a cache", repr(cache.past))
    for node, axis in slices:
        _lengthen(graph, node, axis, sizes)
    return Entering(joins=tuple(joins.values()), moved=moved)


def _check_fits(graph: Graph, cache: Cache, node: Node, axis: int) -> None:
    """Rows of another shape than the past's: a dim of the cache was taken for the batch, which is 1."""
    past, new = (graph.tensor(name).shape or () for name in node.inputs)
    rows = [shape[:axis] + shape[axis + 1 :] for shape in (past, new)]
    if None not in (*past, *new) and rows[0] != rows[1]:
        shapes = " and ".join(str([extent if k != axis else "rows" for k, extent in enumerate(shape)]) for shape in (past, new))
        raise NotFixable(f"the past and the new rows of a cache have the shapes {shapes}: --shape gives a dim its size", repr(cache.past))


def _joins(graph: Graph, node: Node, axis: int) -> bool:
    along = graph.attribute(node, "axis")
    rank = len(graph.tensor(node.outputs[0]).shape or ())
    return node.kind == "Concat" and len(node.inputs) == 2 and isinstance(along, int) and along % (rank or 1) == axis


def _keeps_rows(graph: Graph, grown: GrownAxes, node: Node, axis: int, sizes: Sizes) -> bool:
    """Whether what reads the rows of a past, which are along the axis, has all of them in their order, however many there are."""
    shape = graph.tensor(node.inputs[0]).shape or ()
    if node.kind in ("Reshape", "Flatten"):
        after, made = grown.axis(node.outputs[0]), graph.tensor(node.outputs[0]).shape or ()
        known = all(isinstance(extent, int) for extent in (*shape, *made))
        return known and after is not None and prod(e or 0 for e in shape[:axis]) == prod(e or 0 for e in made[:after])
    if node.kind == "Slice":
        return _takes_all(graph, node, axis, sizes)
    along = graph.attribute(node, "axis")  # Gather, Split
    return isinstance(along, int) and along % len(shape) != axis


def _takes_all(graph: Graph, node: Node, axis: int, sizes: Sizes) -> bool:
    """Whether a Slice, of a past of any length, begins at its first row and goes row by row; that it ends at the last is in its shape."""
    place = _place(graph, node, axis)
    if place is None:
        return True
    starts, ends = graph.value(node.inputs[1]), graph.value(node.inputs[2])
    given = node.inputs[4] if len(node.inputs) > 4 else ""
    steps = graph.value(given) if given else np.ones(place + 1, np.int64)
    if place < 0 or starts is None or ends is None or steps is None:
        return False
    start = int(starts[place])
    return int(steps[place]) == 1 and (start == 0 or start <= -sizes.length)


def _place(graph: Graph, node: Node, axis: int) -> int | None:
    """Which of the numbers of a Slice is the axis's: None where it has none, -1 where that is not known."""
    shape, begins = graph.tensor(node.inputs[0]).shape or (), graph.tensor(node.inputs[1]).shape or ()
    if len(node.inputs) < 4 or not node.inputs[3]:
        count = begins[0] if begins else None
        return -1 if count is None else axis if axis < count else None
    axes = graph.value(node.inputs[3])
    if axes is None:
        return -1
    return next((k for k, one in enumerate(axes.tolist()) if one % len(shape) == axis), None)


def _lengthen(graph: Graph, node: Node, axis: int, sizes: Sizes) -> None:
    """A Slice of all rows takes those of the cache of fixed length too."""
    place, ends = _place(graph, node, axis), graph.value(node.inputs[2])
    if place is not None and ends is not None:
        longer = np.where(np.arange(ends.size) == place, max(sizes.length, int(ends[place])), ends)
        graph.set_input(node, 2, graph.constant(longer.astype(ends.dtype), f"{node.outputs[0]}_ends"))
