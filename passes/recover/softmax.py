"""Recognises a softmax that is written out, and one whose scores are shifted before.

exp(x) / Σ exp(x)         -> Softmax(x)         opset 13, over one axis
softmax(x - max(x))       -> Softmax(x)         which subtracts the maximum by itself

Written out without the shift, exp(x) overflows in fp32 where x > 88; the operator does not.
"""

from __future__ import annotations

from ..formula.reading import reduced_axes
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

FIRST_OPSET = 13
"""Of a Softmax over one axis."""


def _reduced(graph: Graph, tensor: str, kind: str) -> tuple[str, int] | None:
    """What a reduction over one axis reads, whose extent stays as 1, and that axis, from the last; None for anything else."""
    node = graph.producer(tensor)
    if node is None or node.kind != kind or not graph.attribute(node, "keepdims"):
        return None
    axes = reduced_axes(graph, node)
    return (node.inputs[0], axes[0]) if axes is not None and len(axes) == 1 else None


def match_written_out(graph: Graph, node: Node) -> Bindings | None:
    powers, summed = graph.producer(node.inputs[0]), _reduced(graph, node.inputs[1], "ReduceSum")
    if powers is None or powers.kind != "Exp" or summed is None or summed[0] != node.inputs[0] or graph.opset < FIRST_OPSET:
        return None
    return Bindings(node, {"x": powers.inputs[0], "axis": summed[1]})


def match_shifted(graph: Graph, node: Node) -> Bindings | None:
    shifted = graph.producer(node.inputs[0])
    if shifted is None or shifted.kind != "Sub" or graph.opset < FIRST_OPSET:
        return None
    most, shape = _reduced(graph, shifted.inputs[1], "ReduceMax"), graph.tensor(node.inputs[0]).shape
    axis = graph.attribute(node, "axis")
    if most is None or most[0] != shifted.inputs[0] or not shape or not isinstance(axis, int) or axis % len(shape) != len(shape) + most[1]:
        return None
    return Bindings(node, {"x": shifted.inputs[0]})


def softmax(b: Builder, found: Bindings) -> str:
    return b.op("Softmax", found["x"], axis=int(found.number("axis")))


RECOVER_SOFTMAX = Rewrite(
    name="recover_softmax",
    summary="exp(x) / sum(exp(x)) -> Softmax(x)",
    operators=("Div",),
    emits=("Softmax",),
    contract=Contract("reassociates", over="x for which exp(x) is finite, and not 0 for all of them"),
    match=match_written_out,
    build=softmax,
)
RECOVER_SHIFTED_SOFTMAX = Rewrite(
    name="recover_shifted_softmax",
    summary="softmax(x - max(x)) -> Softmax(x)",
    operators=("Softmax",),
    emits=("Softmax",),
    contract=Contract("reassociates"),
    match=match_shifted,
    build=lambda b, found: b.like(found.root, found["x"]),
)
