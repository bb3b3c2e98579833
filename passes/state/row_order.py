"""Whether the rows of a cache stay in their order on the way to attention, however many there are.

Elements that are no rows may stand before them along the same axis, as a score of no key does, until a Slice takes them away: how many is
followed. Rows that are turned round, cut off or counted through with another axis would be other ones in a cache of another length.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ..graph.graph import Graph
from ..graph.node import Node
from .errors import NotFixable
from .grown_axes import GrownAxes

ORDER = "the rows of a cache are not all read in their order"


class RowOrder:
    """Of the tensors that hold rows."""

    def __init__(self, graph: Graph, grown: GrownAxes, rows: Iterable[str]) -> None:
        self._graph, self._grown = graph, grown
        self._before = dict.fromkeys(rows, 0)
        """By tensor, how many elements stand before the first row."""

    def follow(self, node: Node, where: str) -> None:
        """A node that reads rows, after all that make them. Raises NotFixable."""
        held = [name for name in node.inputs if name in self._before]
        before = {self._before[name] for name in held}
        moved = self._moved(node, held[0])
        if moved is None or len(before) != 1 or (node.kind == "Attention" and before != {0}):
            raise NotFixable(ORDER, where)
        number = before.pop() + moved
        if number < 0:
            raise NotFixable(ORDER, where)
        self._before |= {name: number for name in node.writes if self._grown.axis(name) is not None}

    def _moved(self, node: Node, held: str) -> int | None:
        """How many more elements stand before the rows of what a node makes of `held`; None where they are in another order."""
        axis, shape = self._grown.axis(held), self._graph.tensor(held).shape or ()
        if axis is None:
            return None
        if node.kind in ("Reshape", "Flatten"):
            return 0 if _product(shape[:axis]) == self._in_front(node.outputs[0]) else None
        if node.kind == "Slice":
            return self._cut(node, axis, shape[axis] or 0)
        if node.kind == "Pad":
            return self._padded(node, axis, len(shape))
        along = self._graph.attribute(node, "axis")
        if not isinstance(along, int) or along % len(shape) != axis or node.kind not in ("Concat", "Gather", "Split"):
            return 0
        if node.kind != "Concat":
            return None if held == node.inputs[0] else 0  # rows may be what a Gather looks up
        ahead = node.inputs[: node.inputs.index(held)]
        return sum((self._graph.tensor(name).shape or ())[axis] or 0 for name in ahead)

    def _in_front(self, tensor: str) -> int | None:
        axis = self._grown.axis(tensor)
        return None if axis is None else _product((self._graph.tensor(tensor).shape or ())[:axis])

    def _cut(self, node: Node, axis: int, extent: int) -> int | None:
        """Of a Slice: the elements before its start are gone."""
        names = (*node.inputs, "", "")[1:5]
        starts, _, axes, steps = (self._graph.value(name) if name else None for name in names)
        if starts is None or (names[2] and axes is None) or (names[3] and steps is None):
            return None
        rank = len(self._graph.tensor(node.inputs[0]).shape or ())
        along = [one % rank for one in (range(starts.size) if axes is None else axes.tolist())]
        if axis not in along:
            return 0
        place = along.index(axis)
        start = int(starts[place])
        if steps is not None and int(steps[place]) != 1:
            return None
        return -(max(0, extent + start) if start < 0 else start)

    def _padded(self, node: Node, axis: int, rank: int) -> int | None:
        pads = self._graph.value(node.inputs[1])
        axes = self._graph.value(node.inputs[3]) if len(node.inputs) > 3 and node.inputs[3] else range(rank)
        if pads is None or axes is None:
            return None
        ahead = {int(one) % rank: int(pads[k]) for k, one in enumerate(axes)}
        return ahead.get(axis, 0) if self._graph.attribute(node, "mode") in (None, "constant", b"constant") else None


def _product(extents: Iterable[int | None]) -> int:
    return prod(extent or 0 for extent in extents)
