"""Recognises group normalisation as exporters write it around InstanceNormalization.

    h = Reshape(InstanceNormalization(Reshape(x, [N, G, …]), 1, 0; ε), shape of x)
    h·scale + bias, per channel        ->  GroupNormalization(x, scale, bias; G, ε)          opset 21

Below opset 21 the operator had scale and bias per group; there nothing is recovered.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

SINCE = 21


def match(graph: Graph, node: Node) -> Bindings | None:
    """From the bias back: Add, Mul, Reshape, InstanceNormalization, Reshape, each read once."""
    product, bias = _split(graph, node, "Mul")
    times = graph.producer(product) if product else None
    if times is None or graph.uses(product) != 1:
        return None
    back, scale = _split(graph, times, "Reshape")
    outer = graph.producer(back) if back else None
    norm = graph.producer(outer.inputs[0]) if outer is not None and graph.uses(back) == 1 else None
    if norm is None or norm.kind != "InstanceNormalization" or graph.uses(norm.outputs[0]) != 1:
        return None
    inner = graph.producer(norm.inputs[0])
    if inner is None or inner.kind != "Reshape":
        return None
    values = {"x": inner.inputs[0], "split": norm.inputs[0], "back": back, "scale": scale, "bias": bias}
    return Bindings(node, values | {"one": norm.inputs[1], "zero": norm.inputs[2], "norm": norm.outputs[0]})


def _split(graph: Graph, node: Node, kind: str) -> tuple[str, str]:
    """The operand that an operator of that kind writes, and the other one, which must be constant."""
    for tensor, other in (node.inputs, reversed(node.inputs)):
        producer = graph.producer(tensor)
        if producer is not None and producer.kind == kind and graph.tensor(other).const:
            return tensor, other
    return "", ""


def unless(graph: Graph, found: Bindings) -> str | None:
    x, split, back = (graph.tensor(found[name]).shape for name in ("x", "split", "back"))
    if graph.newest < SINCE:
        return f"GroupNormalization has scale and bias per channel only since opset {SINCE}"
    if x is None or split is None or x != back or len(x) < 3 or len(split) < 3 or None in (*x, *split):
        return "the shapes are not known, or the second Reshape does not undo the first"
    if split[0] != x[0] or not split[1] or (x[1] or 0) % split[1] or graph.tensor(found["x"]).dtype == "fp64":
        return "the first Reshape does not split the channels into groups"
    one, zero = (graph.value(found[name]) for name in ("one", "zero"))
    if one is None or zero is None or (one != 1).any() or (zero != 0).any():
        return "the InstanceNormalization has scale or bias of its own"
    if any(_per_channel(graph, found, name) is None for name in ("scale", "bias")):
        return "scale or bias is not one value per channel"
    return None


def _per_channel(graph: Graph, found: Bindings, name: str) -> np.ndarray | None:
    array, shape = graph.value(found[name]), graph.tensor(found["x"]).shape or ()
    if array is None or array.ndim > len(shape) or array.size not in (1, shape[1]):
        return None
    full = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    channels = shape[1] or 0
    return np.broadcast_to(full.reshape(-1), channels) if full.size == full.shape[1] else None


def build(b: Builder, found: Bindings) -> str:
    norm = b.graph.producer(found["norm"])
    assert norm is not None, "match() has seen it"
    operands = [b.array(array) for name in ("scale", "bias") if (array := _per_channel(b.graph, found, name)) is not None]
    groups, epsilon = (b.graph.tensor(found["split"]).shape or (0, 0))[1], b.graph.attribute(norm, "epsilon")
    assert isinstance(epsilon, float) and groups is not None, "unless() has checked"
    return b.op("GroupNormalization", found["x"], *operands, num_groups=groups, epsilon=epsilon)


RECOVER_GROUPNORM = Rewrite(
    name="recover_groupnorm",
    summary="Reshape(InstanceNormalization(Reshape(x)))·scale + bias -> GroupNormalization(x, scale, bias)",
    operators=("Add",),
    emits=("GroupNormalization",),
    contract=Contract("reassociates"),
    match=match,
    unless=unless,
    build=build,
)
