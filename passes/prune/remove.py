"""A graph without some of its channels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx

from ..graph.graph import Graph
from .edits import EDITS, Kept
from .spread import Spread


def remove(graph: Graph, spread: Spread, gone: Iterable[int]) -> None:
    """Takes sets of cells (their roots) out of the graph, in place: of constants, types and numbers in operators. `graph` is the one that
    was walked over, or a copy. Raises ValueError where nothing would be left of an axis."""
    kept = Kept(spread, np.array(sorted(gone), np.int64))
    touched = {name: axes for name in spread.axes if (axes := kept.touches(name))}
    for name, axes in touched.items():
        if any(not kept.number(name, axis) for axis in axes):
            raise ValueError(f"nothing would be left of '{name}'")
    for node in graph.nodes:
        edit = EDITS.get(node.kind)
        if edit is not None and any(name in touched for name in (*node.inputs, *node.outputs)):
            edit(graph, node, kept)
    for name, axes in touched.items():
        if name in graph.constants:
            _cut(graph, name, kept, axes)
        else:
            _narrow(graph, name, kept)


def emptied(spread: Spread, gone: Iterable[int]) -> list[frozenset[int]]:
    """The roots of each axis of which nothing would be left."""
    lost = set(gone)
    return [roots for roots in spread.loose_axes() if roots <= lost]


def _cut(graph: Graph, name: str, kept: Kept, axes: Iterable[int]) -> None:
    value = graph.value(name)
    assert value is not None
    for axis in axes:
        value = np.compress(kept.mask(name, axis), value, axis)
    graph.tensors.forget_constant(name)
    graph.tensors.add_constant(name, np.ascontiguousarray(value))


def _narrow(graph: Graph, name: str, kept: Kept) -> None:
    info = onnx.ValueInfoProto()
    info.CopyFrom(graph.value_info(name))
    for dim, extent in zip(info.type.tensor_type.shape.dim, kept.extents(name), strict=True):
        dim.dim_value = extent
    graph.tensors.learn(info)
