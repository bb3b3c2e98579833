"""Weights that were in 4 bits before they were exported in floats keep the integers that they had: nothing is lost by that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.precision.block_rounding import Key
from ....passes.precision.narrow_weights import LEAST_BYTES
from ....passes.precision.operators import inner_axis, weight_operands
from ....passes.precision.own_grid import change_of, own_grid
from ....passes.precision.weights import Weight
from ....targets.precision import Form
from ...activity import doing
from ...quantities import count


@dataclass(frozen=True, slots=True)
class OwnGrids:
    """Of one graph."""

    made: Mapping[Key, Weight]
    products: frozenset[str]
    """By the first tensor that each writes."""
    asked: int
    """Products with a matrix of weights that is large enough to be in fewer bits: of some, no device reads it in blocks of 4."""
    change: float
    """How far an element is moved at most, in proportion to the largest of its block."""

    @property
    def note(self) -> str:
        """For the screen, where there are products."""
        some = len(self.products) < self.asked
        which = f"{len(self.products)} of {count(self.asked, 'product')}" if some else f"all {count(self.asked, 'product')}"
        moves = f"moves by more than {self.change:.1e} of the largest of its block" if self.change else "changes"
        return f"the weights of {which} were in 4 bits before: they keep the levels that they have, and no element {moves}"


NO_GRIDS = OwnGrids({}, frozenset(), 0, 0.0)


def own_grids(graph: Graph, forms: Mapping[str, Form]) -> OwnGrids:
    """forms: of products whose weights may be in blocks, by the first tensor that each writes."""
    made, products, known, change, asked = dict[Key, Weight](), set[str](), dict[tuple[str, int, int], Weight | None](), 0.0, 0
    for node in graph.nodes:
        form = forms.get(node.writes[0]) if node.writes else None
        axis = inner_axis(graph, node, 1) if weight_operands(graph, node) else None
        asked += axis is not None and (graph.tensor(node.inputs[1]).bytes or 0) >= LEAST_BYTES
        if form is None or axis is None or not form.block or not _plain(graph, node):
            continue
        key = (node.inputs[1], axis, form.block)
        if key not in known:
            with doing("looking for weights that were in 4 bits before"):
                values = graph.value(node.inputs[1])
                assert values is not None, "a constant"
                known[key] = own = own_grid(values, axis, form.block, form.weights)
                change = change if own is None else max(change, change_of(own, values))
                del values
            graph.tensors.release(node.inputs[1])
        if (found := known[key]) is not None:
            made[node.inputs[0], *key, form.weights, None] = found
            products.add(node.writes[0])
    return OwnGrids(made, frozenset(products), asked, change)


def _plain(graph: Graph, node: Node) -> bool:
    """Whether it is one product of a varying tensor of known rank, whose last axis is summed over, so that a second one can be added."""
    if node.kind == "Gemm" and any(graph.attribute(node, name) not in (None, plain) for name, plain in (("transA", 0), ("alpha", 1.0))):
        return False
    return node.inputs[0] not in graph.constants and bool(graph.tensor(node.inputs[0]).shape)
