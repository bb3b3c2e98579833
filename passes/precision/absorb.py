"""Activations that the quantisation of their operand makes superfluous: what Relu and Clip cut off, a QuantizeLinear of the right range
saturates. The operator in front then writes their result."""

from __future__ import annotations

from collections.abc import Mapping

from ...targets.precision import Form
from ..graph.graph import Graph
from ..graph.node import Node
from .operators import moves
from .scales import Steps
from .sharing import Key


def absorbed_activations(graph: Graph, forms: Mapping[str, Form], steps: Mapping[Key, Steps]) -> dict[str, Node]:
    """By the tensor that an operator in integers writes, the Relu or Clip that alone reads it and that its quantisation replaces."""
    found: dict[str, Node] = {}
    for node in graph.nodes:
        form = forms.get(node.writes[0]) if node.writes else None
        if form is None or node.kind not in ("Relu", "Clip"):
            continue
        name = node.inputs[0]
        producer = graph.producer(name)
        before = forms.get(producer.writes[0]) if producer is not None and producer.writes else None
        if producer is None or before is None or moves(graph, producer) or graph.uses(name) != 1 or producer.kind in ("Relu", "Clip"):
            continue
        if before.activations == form.activations and _saturates(graph, node, steps[node.outputs[0], form.activations]):
            found[name] = node
    return found


def _saturates(graph: Graph, node: Node, steps: Steps) -> bool:
    """Whether no stored value lies beyond what the activation lets through, half a step aside."""
    if node.operator == "Relu":
        return steps.low >= 0.0
    bounds = [graph.scalar(name) if name else None for name in (*node.inputs[1:], "", "")[:2]]
    known = all(bound is not None for name, bound in zip(node.inputs[1:], bounds, strict=False) if name)
    half = steps.scale / 2
    low = bounds[0] is None or steps.low >= bounds[0] - half
    high = bounds[1] is None or steps.high <= bounds[1] + half
    return known and low and high
