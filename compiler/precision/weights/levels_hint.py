"""What a compilation without --precision says of weights that were in few bits before: some elements of each matrix are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.precision.narrow_weights import LEAST_BYTES as NARROWED
from ....passes.precision.operators import weight_operands
from ....passes.precision.own_grid import own_grid
from ....passes.precision.weight_forms import grids_on, heads_of
from ....targets.dtypes import BITS
from ....targets.model import Target
from ....targets.precision import FORMS, FormName
from ...load.load_model import LoadedModel
from ...quantities import count, size
from ..quantised_already import is_quantised
from .own_grids import summed_axis
from .weight_candidates import SCALE_BYTES, bytes_in

LEAST_BYTES = 1 << 14
"""Of a matrix that is looked at."""
LEAST_SAVED = 1 << 15
"""Bytes that a hint is for."""
FIRST = 24
"""Matrices, evenly spread over the model, of which one has to lie on levels for all to be looked at: in a float model none does."""
ROWS, ELEMENTS = 2, 64
"""Of a matrix: rows that are looked at, and elements of each from the first on."""
BLOCKS = (32, 16)
"""Levels of larger blocks hold in these as well."""
ASKED: Mapping[FormName, tuple[str, str]] = {"w4": ("int4", "4 bits"), "w8": ("int8", "8 bits or fewer")}
"""By form, the word of --precision, and what it is called."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Of some elements of an operator's weights."""

    form: FormName
    block: int
    offsets: bool

    def bytes(self, elements: int) -> float:
        return elements * BITS[FORMS[self.form].weights] / 8 + elements / self.block * SCALE_BYTES * (2 if self.offsets else 1)


def hint_on_levels(loaded: LoadedModel, target: Target) -> tuple[str, ...]:
    """One sentence, where products of the float model lie on such levels and a device of the target would read them."""
    graph = Graph(loaded.proto)
    if is_quantised(graph) is not None:
        return ()
    matrices = [(node, axis) for node in graph.nodes if (axis := _large(graph, node)) is not None]
    spread = matrices[:: max(1, len(matrices) // FIRST)]
    if not any(_seen(graph, *each) for each in spread):
        return ()
    found = {node.writes[0]: seen for node, axis in matrices if (seen := _held(graph, target, node, axis)) is not None}
    products = {node.writes[0] for node, _ in matrices if node.operator != "Gather"}
    four, eight = ({name for name in products if name in found and found[name].form == form} for form in ASKED)
    width: FormName = "w4" if four else "w8"
    kept = four or eight
    others = eight - heads_of(graph) if four else set()  # the head is in 8 bits anyway
    before, after = _bytes(graph, {name: seen for name, seen in found.items() if name not in others})
    if not kept or before - after < LEAST_SAVED:
        return ()
    word, bits = ASKED[width]
    which = f"all {count(len(kept), 'product')}" if kept == products else f"{len(kept)} of {count(len(products), 'product')}"
    more = f"; those of {count(len(others), 'other product')} were in 5 to 8 bits, which --precision int8 keeps" if others else ""
    saves = f"about {size(after)} of weights instead of {size(before)}"
    return (f"the weights of {which} seem to have been in {bits} before: --precision {word} keeps their levels, {saves}{more}",)


def _large(graph: Graph, node: Node) -> int | None:
    """Along which blocks of an operator's matrix lie, if that is in fp32 and large."""
    axis = summed_axis(graph, node)
    weight = graph.tensor(_name(node)) if axis is not None else None
    fits = weight is not None and weight.dtype == "fp32" and len(weight.shape or ()) == 2 and (weight.bytes or 0) >= LEAST_BYTES
    return axis if fits else None


def _name(node: Node) -> str:
    return node.inputs[0 if node.operator == "Gather" else 1]


def _seen(graph: Graph, node: Node, axis: int) -> _Seen | None:
    """The narrowest form, and the longest of BLOCKS, on whose levels some of the weights lie."""
    values = graph.value(_name(node))
    assert values is not None, "_large() has seen it"
    moved = np.moveaxis(values, axis, 1)
    rows = np.array(moved[:: -(-len(moved) // ROWS), :ELEMENTS])
    del values, moved
    graph.tensors.release(_name(node))
    for form in ASKED:
        for block in BLOCKS:
            if (own := own_grid(rows, 1, block, FORMS[form].weights)) is not None:
                return _Seen(form, block, own.offset is not None)
    return None


def _held(graph: Graph, target: Target, node: Node, axis: int) -> _Seen | None:
    """The same, where a device holds such blocks."""
    seen = _seen(graph, node, axis)
    forms = grids_on(graph, target, node) if seen is not None else ()
    return seen if seen is not None and any(form.name == seen.form and form.block == seen.block for form in forms) else None


def _bytes(graph: Graph, kept: Mapping[str, _Seen]) -> tuple[int, int]:
    """Of all weights, and what becomes of them about: some in the form that they were seen in, the other large ones in 8 bits."""
    sizes, stored = dict[str, int](), dict[str, int]()
    for node in graph.nodes:
        sizes |= {name: graph.tensor(name).bytes or 0 for name in node.reads if name in graph.constants}
        names = [node.inputs[k] for k in weight_operands(graph, node)]
        if names and sizes[names[0]] >= NARROWED:
            seen = kept.get(node.writes[0])
            elements = graph.tensor(names[0]).elements or 0
            stored[names[0]] = bytes_in(graph, node, FORMS["w8"]) if seen is None else round(seen.bytes(elements))
    return sum(sizes.values()), sum(sizes.values()) + sum(stored[name] - sizes[name] for name in stored)
