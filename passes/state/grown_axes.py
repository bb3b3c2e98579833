"""Which axis of a tensor has a place for each row of a cache: the one that is a place longer where the past is a row longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..graph.graph import Graph
from ..graph.node import Node
from .errors import NotFixable
from .places import Cache, Sizes, Unrolled

MOVES = frozenset({"Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that may stand before the Concat that puts new rows behind a cache, or between it and the output: they compute nothing."""


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
    """Raises NotFixable where a cache does anything else than growing behind its last row."""
    moved: dict[str, int] = {}
    joins: dict[str, Join] = {}
    pending = [cache.past]
    while pending:
        tensor = pending.pop()
        axis = grown.axis(tensor)
        if axis is None or (graph.tensor(tensor).shape or ())[axis] != sizes.past:
            raise NotFixable("the rows of a cache are not along one axis", f"{tensor!r}, of the cache {cache.past!r}")
        moved[tensor] = axis
        for node in graph.users(tensor):
            if _joins(graph, node, axis) and node.inputs[0] == tensor and node.inputs[1] != tensor:
                joins[node.outputs[0]] = Join(node, axis)
            elif node.kind in MOVES and not _joins(graph, node, axis):
                pending += [name for name in node.writes if name not in moved]
            else:
                where = f"{cache.past!r}, read by {node.kind} {node.name or node.outputs[0]}"
                raise NotFixable("something else reads the past of a cache than a Concat that puts new rows behind it", where)
    if not joins:
        raise NotFixable("nothing puts new rows behind the past of a cache", repr(cache.past))
    return Entering(joins=tuple(joins.values()), moved=moved)


def _joins(graph: Graph, node: Node, axis: int) -> bool:
    along = graph.attribute(node, "axis")
    rank = len(graph.tensor(node.outputs[0]).shape or ())
    return node.kind == "Concat" and len(node.inputs) == 2 and isinstance(along, int) and along % (rank or 1) == axis
