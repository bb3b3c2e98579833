"""A cache that grows as one of fixed length into which a step's new rows are put at their place, whoever reads it then.

    Concat(past, new)  ->  Concat(past, new, 0)[i],  i = row < filled ? row : length + min(row - filled, tokens);   new rows go out alone

All rows have the places that they have in the model when the cache is full, so that whatever else the model computes stays as it is: masks
of any kind, numbers added to scores, caches whose axes are in another order, or that hold keys and values side by side. Rows without a
token are zeros, whatever lies there. What the model itself adds to scores has to close them, which `closed_scores.py` looks for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from .cached_attention import made_by
from .errors import NotFixable
from .grown_axes import MOVES, Entering
from .old_rows import check_old_rows
from .places import Cache, Sizes, resize


class Places:
    """Puts new rows at their places in the caches of a step. counts: tensors "filled" (int32 [1]: rows filled before it) and "positions"
    (int64 [1, tokens])."""

    def __init__(self, graph: Graph, counts: dict[str, str], sizes: Sizes) -> None:
        self._graph, self._counts, self._sizes = graph, counts, sizes
        self._from = ""

    def place(self, caches: Mapping[Cache, Entering]) -> None:
        """Writes all caches so. Raises NotFixable where an output is not what the input became."""
        order = {node.outputs[0]: k for k, node in enumerate(self._graph.nodes)}
        joins = {join.node.outputs[0]: join for found in caches.values() for join in found.joins}
        new = {tensor: join.node.inputs[1] for tensor, join in joins.items()}
        for found in caches.values():
            for tensor, axis in found.moved.items():
                self._lengthen(tensor, axis)
        for tensor in sorted(joins, key=order.__getitem__):  # the first one writes what all of them read
            self._join(tensor, joins[tensor].axis)
        for cache in caches:
            self._give_rows(cache, new)

    def _lengthen(self, tensor: str, axis: int) -> None:
        """A tensor in front of the joins has a place for every row of the cache."""
        graph = self._graph
        resize(graph, tensor, tensor, axis, self._sizes.length)
        node = graph.producer(tensor)
        extents = None if node is None or node.kind != "Reshape" else graph.value(node.inputs[1])
        if node is not None and extents is not None:
            longer = np.where(np.arange(extents.size) == axis, self._sizes.length, extents)
            graph.set_input(node, 1, graph.constant(longer.astype(np.int64), f"{tensor}_shape"))

    def _join(self, tensor: str, axis: int) -> None:
        graph, node = self._graph, made_by(self._graph, tensor)
        past, new = node.inputs
        b = Builder(graph, graph.tensor(node.outputs[0]).dtype, node.outputs[0])
        empty = [1 if k == axis else extent or 0 for k, extent in enumerate(graph.tensor(past).shape or ())]
        whole = b.op("Concat", past, new, b.array(np.zeros(empty)), axis=axis)
        result = b.op("Gather", whole, self._source(b), axis=axis)
        graph.replace(node, b.nodes, {node.outputs[0]: result})

    def _source(self, b: Builder) -> str:
        """int32 [length]: which row of past, new ones and one of zeros comes to each place."""
        if not self._from:
            places, filled = b.array(np.arange(self._sizes.length), "int32"), self._counts["filled"]
            behind = b.op("Min", b.op("Sub", places, filled), b.array(np.array(self._sizes.tokens), "int32"))
            moved = b.op("Add", behind, b.array(np.array(self._sizes.length), "int32"))
            self._from = b.op("Where", b.op("Less", places, filled), places, moved)
        return self._from

    def _give_rows(self, cache: Cache, new: dict[str, str]) -> None:
        """The output is the step's rows alone; whoever read it reads the whole under another name."""
        graph, axis = self._graph, cache.axis
        node, users = graph.producer(cache.present), graph.users(cache.present)
        if node is None or (graph.tensor(cache.present).shape or ())[axis : axis + 1] != (self._sizes.length,):
            raise NotFixable("the cache does not go out as it came in, with new rows", f"{cache.present!r}, of the cache {cache.past!r}")
        whole = self._graph.fresh(cache.present)
        moved = node.copy()
        moved.outputs = [whole if name == cache.present else name for name in node.outputs]
        resize(graph, whole, cache.present, axis, self._sizes.length)
        b = Builder(graph, "int64", cache.present)
        rows = new.get(cache.present) or b.op("Gather", whole, b.reshape(self._counts["positions"], (-1,)), axis=axis)
        out = graph.node("Identity", [rows], outputs=[cache.present], hint=cache.present)
        resize(graph, cache.present, whole, axis, self._sizes.tokens)
        graph.replace(node, [moved, *b.nodes, out])
        for user in users:
            graph.set_inputs(user, [whole if name == cache.present else name for name in user.inputs])


def check_output(graph: Graph, cache: Cache, found: Entering) -> None:
    """The cache goes out as it came in: from the joins to the output nothing is computed, and no old row changes its place. Raises
    NotFixable."""
    joined = {join.node.outputs[0] for join in found.joins}
    pending, seen, reached = [cache.present], dict[str, Node](), False
    while pending:
        tensor = pending.pop()
        if tensor in joined:
            reached = True
            continue
        node = graph.producer(tensor)
        if tensor in seen or node is None:
            continue
        seen[tensor] = node
        where = f"{cache.present!r}, made by {node.kind} {node.name or node.outputs[0]}"
        if node.kind not in MOVES:
            raise NotFixable("the cache goes out changed: its past with new rows behind is expected", where)
        pending += [name for name in node.reads if graph.value(name) is None]
    if not reached:
        raise NotFixable(f"the cache does not continue {cache.past!r}", repr(cache.present))
    check_old_rows(graph, cache, found, list(seen.values()))
