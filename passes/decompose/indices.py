"""Indices that may count from the end, counted from the start, for devices that take a negative one for a place in front of the table.

Gather(t, i) = Gather(t, Where(j < 0, j + n, j))        j = Cast(i to int32), n the extent that i counts in

Exact: a legal index lies in -n..n-1, and n is a number of int32. Hexagon reads other rows of a table of bytes, and ends the run for a
table of floats whose indices are int32.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

LARGEST = 2**31 - 1


def match(graph: Graph, node: Node) -> Bindings | None:
    shape, index = graph.tensor(node.inputs[0]).shape, graph.view(node).inputs["indices"]
    axis = graph.attribute(node, "axis")
    if shape is None or not isinstance(axis, int) or index.const or index.nonnegative or index.dtype not in ("int64", "int32"):
        return None
    extent = shape[axis] if -len(shape) <= axis < len(shape) else None
    return None if extent is None or not 0 < extent <= LARGEST else Bindings(node, {"extent": extent})


def build(b: Builder, found: Bindings) -> str:
    data, index = found.root.inputs
    if b.graph.tensor(index).dtype != "int32":
        index = b.op("Cast", index, to=TensorProto.INT32)
    extent, zero = (b.array(np.array(number), "int32") for number in (found.number("extent"), 0))
    start = b.op("Where", b.op("Less", index, zero), b.op("Add", index, extent), index)
    return b.like(found.root, data, start)


GATHER_FROM_START = Rewrite(
    name="gather_from_start",
    summary="Gather(t, i) = Gather(t, Where(i < 0, i + n, i))",
    operators=("Gather",),
    emits=("Cast", "Less", "Add", "Where", "Gather"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
