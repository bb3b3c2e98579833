"""Takes a per-channel map from behind a Transpose to before it, where the convolution that it belongs to can absorb it.

Transpose(h; p) ∘ c  ->  Transpose(h ∘ c'; p)         ∘ one of + - · /, c' the same constant with its axes in the order of h

That is how models with channels last come out of exporters: Conv, Transpose to N…C, then normalisation written as Sub, Mul, Add.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

CONVOLUTIONS = ("Conv", "ConvTranspose")


def match(graph: Graph, node: Node) -> Bindings | None:
    for index in (0, 1) if node.operator in ("Add", "Mul") else (0,):
        turned, constant = node.inputs[index], node.inputs[1 - index]
        transpose = graph.producer(turned)
        if transpose is None or transpose.kind != "Transpose" or graph.uses(turned) != 1 or not graph.tensor(constant).const:
            continue
        convolution = graph.producer(transpose.inputs[0])
        order = transpose.attribute("perm")
        if convolution is not None and convolution.kind in CONVOLUTIONS and isinstance(order, tuple):
            return Bindings(node, {"h": transpose.inputs[0], "constant": constant, "order": tuple(int(k) for k in order)})
    return None


def unless(graph: Graph, found: Bindings) -> str | None:
    if graph.uses(found["h"]) != 1:
        return f"{found['h']} is used elsewhere too"
    array = _turned(graph, found)
    if array is None or any(extent != 1 for axis, extent in enumerate(array.shape) if axis != 1):
        return "the constant is not one value per channel"
    return None


def _turned(graph: Graph, found: Bindings) -> np.ndarray | None:
    """The constant in the order of h's axes."""
    array, order = graph.value(found["constant"]), found.integers("order")
    if array is None or array.ndim > len(order):
        return None
    return array.reshape((1,) * (len(order) - array.ndim) + array.shape).transpose(np.argsort(order))


def build(b: Builder, found: Bindings) -> str:
    array = _turned(b.graph, found)
    assert array is not None, "unless() has checked"
    result = b.op(found.root.operator, found["h"], b.array(array))
    return b.op("Transpose", result, perm=found.integers("order"))


FOLD_CHANNELS_LAST = Rewrite(
    name="fold_channels_last",
    summary="Transpose(Conv(x)) ∘ c -> Transpose(Conv(x) ∘ c'), ∘ one of + - · /, c per channel",
    operators=("Add", "Sub", "Mul", "Div"),
    emits=("Add", "Sub", "Mul", "Div", "Transpose"),
    contract=Contract("exact"),
    match=match,
    unless=unless,
    build=build,
)
