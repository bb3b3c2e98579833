"""What a compilation without --precision says of weights that were in few bits before: some blocks of each matrix are looked at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.precision.narrow_weights import LEAST_BYTES as NARROWED
from ....passes.precision.operators import weight_operands
from ....passes.precision.own_grid import on_levels
from ....passes.precision.weight_forms import grids_on
from ....targets.model import Target
from ....targets.precision import FORMS, Form, FormName
from ...load.load_model import LoadedModel
from ...quantities import count, size
from ..quantised_already import is_quantised
from .own_grids import summed_axis
from .weight_candidates import bytes_in

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
WIDTHS: Mapping[FormName, tuple[str, str, str]] = {"w4": ("int4", "int4", "4 bits"), "w8": ("int8", "int8", "8 bits or fewer")}
"""By form: what is stored, the word of --precision, and what it is called."""


def hint_on_levels(loaded: LoadedModel, target: Target) -> tuple[str, ...]:
    """One sentence, where products of the float model lie on such levels and a device of the target would read them."""
    graph = Graph(loaded.proto)
    if is_quantised(graph) is not None:
        return ()
    matrices = [(node, axis) for node in graph.nodes if (axis := _summed(graph, node)) is not None]
    spread = matrices[:: max(1, len(matrices) // FIRST)]
    if not any(_levels_of(graph, *each) for each in spread):
        return ()
    found: dict[FormName, dict[str, Form]] = {"w4": {}, "w8": {}}
    for node, axis in matrices:
        if (own := _held(graph, target, node, _levels_of(graph, node, axis))) is not None:
            found[own.name][node.writes[0]] = own
    width: FormName = "w4" if found["w4"] else "w8"
    kept, others = found[width], len(found["w8"]) if found["w4"] else 0
    before, after = _bytes(graph, kept)
    if not kept or before - after < LEAST_SAVED:
        return ()
    _, word, bits = WIDTHS[width]
    every = len(kept) == len(matrices)
    which = f"all {count(len(kept), 'product')}" if every else f"{len(kept)} of {count(len(matrices), 'product')}"
    more = f"; those of {count(others, 'other product')} were in 5 to 8 bits, which --precision int8 keeps" if others else ""
    saves = f"about {size(after)} of weights instead of {size(before)}"
    return (f"the weights of {which} seem to have been in {bits} before: --precision {word} keeps their levels, {saves}{more}",)


def _summed(graph: Graph, node: Node) -> int | None:
    """Along which blocks of a product's matrix lie, if that is in fp32 and large."""
    axis = None if node.operator == "Gather" or len(node.inputs) < 2 else summed_axis(graph, node)
    weight = graph.tensor(node.inputs[1]) if axis is not None else None
    fits = weight is not None and weight.dtype == "fp32" and len(weight.shape or ()) == 2 and (weight.bytes or 0) >= LEAST_BYTES
    return axis if fits else None


def _levels_of(graph: Graph, node: Node, axis: int) -> tuple[FormName, int] | None:
    """The narrowest form, and the longest of BLOCKS, on whose levels some of the weights lie."""
    values = graph.value(node.inputs[1])
    assert values is not None, "_summed() has seen it"
    moved = np.moveaxis(values, axis, 1)
    rows = np.array(moved[:: -(-len(moved) // ROWS), :ELEMENTS])
    del values, moved
    graph.tensors.release(node.inputs[1])
    each = ((width, block) for width, (dtype, _, _) in WIDTHS.items() for block in BLOCKS if on_levels(rows, 1, block, dtype))
    return next(each, None)


def _held(graph: Graph, target: Target, node: Node, levels: tuple[FormName, int] | None) -> Form | None:
    """The form of a device that holds them."""
    if levels is None:
        return None
    return next((form for form in grids_on(graph, target, node) if form.name == levels[0] and form.block == levels[1]), None)


def _bytes(graph: Graph, kept: Mapping[str, Form]) -> tuple[int, int]:
    """Of all weights, and what becomes of them about: some in their forms, the other large ones in 8 bits."""
    sizes, stored = dict[str, int](), dict[str, int]()
    for node in graph.nodes:
        sizes |= {name: graph.tensor(name).bytes or 0 for name in node.reads if name in graph.constants}
        names = [node.inputs[k] for k in weight_operands(graph, node)]
        form = kept.get(node.writes[0], FORMS["w8"]) if names and node.writes else None
        if form is not None and sizes[names[0]] >= NARROWED:
            stored[names[0]] = bytes_in(graph, node, form)
    return sum(sizes.values()), sum(sizes.values()) + sum(stored[name] - sizes[name] for name in stored)
