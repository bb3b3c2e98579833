"""Weights in 8 bits beside activations in floats, as onnxruntime's CPU computes them once, when it loads a segment.

DequantizeLinear(W; s)  ->  Cast(W) · s          W a constant, read by operators that compute in floats

onnxruntime folds Cast and Mul, and runs a DequantizeLinear in every run, in case its reader has a kernel of integers: a MatMul takes three
times as long. Where its optimiser sees one for weights of 8 bits, the activations are rounded to 8 bits as well.
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    constant = all(name in graph.constants for name in node.inputs if name)
    return Bindings(node, {"weight": node.inputs[0], "scale": node.inputs[1]}) if constant and not node.domain else None


def unless(graph: Graph, found: Bindings) -> str | None:
    node, weight, scale = found.root, graph.tensor(found["weight"]), graph.tensor(found["scale"])
    if weight.dtype not in ("int8", "uint8") or scale.dtype != "fp32" or graph.attribute(node, "block_size"):
        return "the weight is not of 8 bits with a scale in fp32 for each channel or for all"
    zero = graph.value(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if zero is not None and zero.any():
        return "the weight has zero points"
    readers = graph.users(node.outputs[0])
    if graph.is_output(node.outputs[0]) or not readers or not all(_in_floats(graph, reader) for reader in readers):
        return "a reader may be computed in integers"
    return None


def _in_floats(graph: Graph, node: Node) -> bool:
    """Whether some activation comes in as floats: onnxruntime's kernels of integers take none."""
    varying = [name for name in node.inputs if name and name not in graph.constants and graph.tensor(name).dtype == "fp32"]
    makers = [graph.producer(name) for name in varying]
    return not node.captures and any(maker is None or maker.kind != "DequantizeLinear" for maker in makers)


def build(b: Builder, found: Bindings) -> str:
    graph, node = b.graph, found.root
    rank, scale = len(graph.tensor(found["weight"]).shape or ()), graph.value(found["scale"])
    assert scale is not None, "match() has seen it"
    axis = graph.attribute(node, "axis")
    along = (axis if isinstance(axis, int) else 1) % max(rank, 1)
    shape = [] if scale.size == 1 else [-1 if k == along else 1 for k in range(rank)]
    return b.mul(b.cast(found["weight"], "fp32"), b.array(scale.reshape(shape)))


CAST_WEIGHT = Rewrite(
    name="cast_weight",
    summary="DequantizeLinear(W; s) -> Cast(W) · s   of a constant that floats read",
    operators=("DequantizeLinear",),
    emits=("Cast", "Mul"),
    contract=Contract("exact"),
    match=match,
    unless=unless,
    build=build,
)
