"""ScatterElements in primitives, for devices that lack it: each place takes the sum of what is put there.

    ScatterElements(x, i, u)         ->  Where(any over k of i_k = place, Σ over k of Where(i_k = place, u_k, 0), x)
    ScatterElements(x, i, u; "add")  ->  x + Σ over k of Where(i_k = place, u_k, 0)

Without a reduction the standard wants places that are named once; those named twice get the sum here. Covered: tensors of floats, all other
axes being as long as those of x.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

MOST = 1 << 22
"""Elements that are compared."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """The axis, and its lengths in the indices and in x."""
    data, indices = (extents(graph, name) for name in node.inputs[:2])
    axis, way = graph.attribute(node, "axis"), graph.attribute(node, "reduction")
    if data is None or indices is None or not isinstance(axis, int) or way not in ("none", "add") or not data:
        return None
    axis %= len(data)
    others = [(a, b) for k, (a, b) in enumerate(zip(data, indices, strict=True)) if k != axis]
    if graph.tensor(node.inputs[0]).dtype not in COMPUTED or any(a != b for a, b in others) or prod(indices) * data[axis] > MOST:
        return None
    return Bindings(node, {"sizes": (axis, data[axis], len(data)), "way": str(way)})


def build(b: Builder, found: Bindings) -> str:
    data, indices, updates = found.root.inputs
    axis, length, rank = found.integers("sizes")
    kind = b.graph.tensor(indices).dtype
    if not b.graph.view(found.root).inputs["indices"].nonnegative:
        zero, behind = (b.array(np.array(number), kind) for number in (0, length))
        indices = b.op("Where", b.op("Less", indices, zero), b.op("Add", indices, behind), indices)
    places = np.arange(length).reshape([length if k == axis + 1 else 1 for k in range(rank + 1)])
    here = b.op("Equal", b.with_axes("Unsqueeze", indices, (axis + 1,)), b.array(places, kind))
    put = b.op("Where", here, b.with_axes("Unsqueeze", updates, (axis + 1,)), b.number(0.0))
    total = b.with_axes("ReduceSum", put, (axis,), keepdims=0)
    if found["way"] == "add":
        return b.add(data, total)
    value = b.graph.value(data)
    if value is not None and not value.any():
        return total
    named = b.op("Greater", b.with_axes("ReduceSum", b.cast(here, b.dtype), (axis,), keepdims=0), b.number(0.0))
    return b.op("Where", named, total, data)


SCATTER_WHERE = Rewrite(
    name="scatter_where",
    summary="ScatterElements(x, i, u) -> Where(any i = place, Σ Where(i = place, u, 0), x)",
    operators=("ScatterElements",),
    emits=("Less", "Add", "Where", "Unsqueeze", "Equal", "ReduceSum", "Cast", "Greater"),
    contract=Contract("reassociates", over="indices that name a place once, where there is no reduction"),
    match=match,
    build=build,
)
