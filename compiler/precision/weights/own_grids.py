"""Weights that were in 4 or 8 bits before they were exported in floats keep the integers that they had: nothing is lost by that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.precision.block_rounding import Key
from ....passes.precision.narrow_weights import LEAST_BYTES
from ....passes.precision.operators import inner_axis, weight_operands
from ....passes.precision.own_grid import change_of, on_levels, own_grid
from ....passes.precision.weights import Weight
from ....targets.precision import Form, FormName
from ...activity import doing
from ...quantities import count

Offered = Callable[[Node], Iterable[Form]]
"""The forms in which a device reads an operator's weights where they are on such grids already, preferred ones first."""
ONCE: Mapping[FormName, str] = {"w4": "4 bits", "w8": "8 bits or fewer"}
SHORTEST = 8
"""Elements of a block that is looked for to say that devices read longer ones."""


@dataclass(frozen=True, slots=True)
class OwnGrids:
    """Of one graph."""

    made: Mapping[Key, Weight]
    forms: Mapping[str, Form]
    """Of operators whose weights keep their levels, by the first tensor that each writes."""
    asked: int
    """Products with a matrix of weights that is large enough to be in fewer bits."""
    finer: frozenset[str]
    """Products whose levels are too many for 4 bits, which the device reads them in."""
    shorter: frozenset[str]
    """Products that lie on 16 levels in blocks shorter than a device reads."""
    change: float
    """How far an element is moved at most, in proportion to the largest of its block."""

    def kept(self, form: FormName) -> dict[str, Form]:
        """The operators whose weights keep their levels in w4, or in w8."""
        return {name: own for name, own in self.forms.items() if own.name == form}

    def notes(self, written: Mapping[str, Form]) -> tuple[str, ...]:
        """For the screen. written: the forms of all operators."""
        kept = {form: [name for name in self.kept(form) if written.get(name) == self.forms[name]] for form in ONCE}
        moves = f"moves by more than {self.change:.1e} of the largest of its block" if self.change else "changes"
        notes = [
            f"the weights of {self._which(len(names), form)} were in {ONCE[form]} before: they keep the levels that they have, "
            f"and no element {moves}"
            for form, names in kept.items()
            if names
        ]
        if rounded := [name for name in self.finer if name in written and written[name].name == "w4"]:
            which = "the weights of " + count(len(rounded), "other product" if notes else "product")
            notes.append(f"{which} were in 5 to 8 bits before, too many levels for 4: they are rounded anew; --precision int8 keeps them")
        if rounded := [name for name in self.shorter if name in written]:
            which = "the weights of " + count(len(rounded), "other product" if notes else "product")
            notes.append(f"{which} were in 4 bits before, in blocks shorter than the device reads: they are rounded anew")
        return tuple(notes)

    def _which(self, number: int, form: FormName) -> str:
        if form == "w8":
            return count(number, "operator")
        return f"{number} of {count(self.asked, 'product')}" if number < self.asked else f"all {count(self.asked, 'product')}"


NO_GRIDS = OwnGrids({}, {}, 0, frozenset(), frozenset(), 0.0)


def own_grids(graph: Graph, offered: Offered, widths: Iterable[FormName] = ("w4", "w8")) -> OwnGrids:
    """widths: the forms that are looked for; of an operator the first that holds its weights is taken."""
    found, known, asked, finer, shorter = dict[str, Form](), _Known(graph), 0, set[str](), set[str]()
    for node in graph.nodes:
        axis = summed_axis(graph, node)
        if axis is None or not node.writes or (graph.tensor(node.inputs[_place(node)]).bytes or 0) < LEAST_BYTES:
            continue
        asked += node.operator != "Gather"
        forms = [form for width in widths for form in offered(node) if form.name == width]
        own = next((form for form in forms if known.weight(node, axis, form) is not None), None)
        if own is not None:
            found[node.writes[0]] = own
            if own.name == "w8" and any(form.name == "w4" for form in forms):
                finer.add(node.writes[0])
        elif any(form.block for form in forms) and known.in_shorter_blocks(node, axis):
            shorter.add(node.writes[0])
        graph.tensors.release(node.inputs[_place(node)])
    return OwnGrids(known.made, found, asked, frozenset(finer), frozenset(shorter), known.change)


def summed_axis(graph: Graph, node: Node) -> int | None:
    """Along which blocks of the operator's weights lie: of a product that a second one can be added to, because what it reads varies and
    is of known rank, or of a table whose rows are gathered; else None."""
    if not weight_operands(graph, node) or node.inputs[0 if node.operator != "Gather" else 1] in graph.constants:
        return None
    if node.kind == "Gather":
        shapes = [graph.tensor(name).shape for name in node.inputs]
        table = graph.attribute(node, "axis") in (None, 0) and len(shapes[0] or ()) == 2 and shapes[1] is not None
        return 1 if table else None
    return inner_axis(graph, node, 1) if graph.tensor(node.inputs[0]).shape else None


def _place(node: Node) -> int:
    return 0 if node.operator == "Gather" else 1


class _Known:
    """Each weight is looked at once in a form, whoever reads it."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.made, self.change = graph, dict[Key, Weight](), 0.0
        self._found: dict[tuple[str, int, Form], Weight | None] = {}

    def weight(self, node: Node, axis: int, form: Form) -> Weight | None:
        name = node.inputs[_place(node)]
        key = (name, axis, form)
        if key not in self._found:
            with doing("looking for weights that were in few bits before"):
                values = self.graph.value(name)
                assert values is not None, "a constant"
                self._found[key] = self._looked(values, axis, form)
        if (found := self._found[key]) is not None:
            self.made[node.inputs[0], name, axis, form.block, form.weights, None] = found
        return found

    def in_shorter_blocks(self, node: Node, axis: int) -> bool:
        values = self.graph.value(node.inputs[_place(node)])
        return values is not None and on_levels(values, axis, SHORTEST, "int4")

    def _looked(self, values: np.ndarray, axis: int, form: Form) -> Weight | None:
        if values.ndim != 2:
            return None
        block = form.block or values.shape[axis]
        found = own_grid(values, axis, block, form.weights)
        if found is None or (not form.block and found.offset is not None):
            return None
        self.change = max(self.change, change_of(found, values))
        return found if form.block else _of_channels(found)


def _of_channels(weight: Weight) -> Weight:
    """With one block a channel, as scales of channels."""
    assert weight.axis is not None, "a weight in blocks"
    zero = None if weight.zero is None else weight.zero.reshape(-1)
    return replace(weight, scale=weight.scale.reshape(-1), zero=zero, axis=1 - weight.axis, block=0)
