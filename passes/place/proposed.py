"""What a device sees of the operators that a rule would write, before they are in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...targets.dtypes import FLOATS
from ...targets.operator_view import OperatorView, TensorView
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.nonnegative import nonnegative


def proposed_views(graph: Graph, nodes: Sequence[Node]) -> list[OperatorView]:
    """Of nodes whose results have types by now: what one of them shows of its result, its readers see."""
    made = {name: node for node in nodes for name in node.writes}

    def seen(tensor: TensorView) -> TensorView:
        if tensor.name not in made:
            return tensor
        found = nonnegative(
            tensor.name, lambda name: made.get(name) or graph.producer(name), graph.tensors.small, lambda name: graph.tensor(name).dtype
        )
        return replace(tensor, nonnegative=found)

    views = [graph.view(node) for node in nodes]
    return [replace(view, inputs={label: seen(tensor) for label, tensor in view.inputs.items()}) for view in views]


def as_quantised(view: OperatorView, seen: OperatorView) -> OperatorView:
    """An operator that stands for `seen`, which is one in integers: what both read and write as it is there. Any other as it is."""
    if view.operator != seen.operator or not computes_on_floats(view):
        return view
    by_name = {tensor.name: tensor for tensor in seen.inputs.values()}
    inputs = {label: by_name.get(tensor.name, tensor) for label, tensor in view.inputs.items()}
    return replace(view, inputs=inputs, outputs=seen.outputs, quantised=True)


def computes_on_floats(view: OperatorView) -> bool:
    """Whether an operand or a result is of floats."""
    return any(tensor.dtype in FLOATS for tensor in (*view.inputs.values(), *view.outputs.values()))
