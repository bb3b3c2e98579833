"""Formulas that were quantised operator by operator: QuantizeLinear and DequantizeLinear stand between any two of their operators.

What a DequantizeLinear makes of what a QuantizeLinear made of a tensor is that tensor, up to the step of the grid. So such a formula is
read as the one that it was made of; where its operator is one that a device computes on integers, one rounding to a grid is left of
several.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node

INTO, OUT = "QuantizeLinear", "DequantizeLinear"


class Grids:
    """Where a graph's tensors are quantised and dequantised. Nothing is remembered: the graph may be edited."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def source(self, tensor: str) -> str:
        """The float that was quantised and dequantised again to `tensor`; "" where it was not."""
        into = self._into(tensor)
        return "" if into is None else into.inputs[0]

    def shared(self, tensor: str) -> bool:
        """Whether something else reads the integers that `tensor` was made of, or what they were made of."""
        into = self._into(tensor)
        return into is not None and (self._graph.uses(into.outputs[0]) > 1 or self._graph.uses(into.inputs[0]) > 1)

    def behind(self, tensor: str) -> str:
        """What reads a tensor that is only read to be quantised: the dequantised one. Else the tensor."""
        graph = self._graph
        readers = graph.users(tensor)
        if not readers or graph.is_output(tensor) or any(node.kind != INTO or node.inputs[0] != tensor for node in readers):
            return tensor
        dtype = graph.tensor(tensor).dtype
        made = (node.outputs[0] for into in readers for node in graph.users(into.outputs[0]) if node.kind == OUT)
        return next((name for name in made if graph.tensor(name).dtype == dtype), tensor)

    def weight(self, tensor: str) -> float | None:
        """The one number that a quantised constant of one element stands for."""
        node, graph = self._graph.producer(tensor), self._graph
        if node is None or node.kind != OUT or not all(name in graph.constants for name in node.inputs if name):
            return None
        if graph.tensor(node.inputs[0]).elements != 1:
            return None
        stored, scale, *zero = (graph.value(name) for name in node.inputs if name)
        if stored is None or scale is None or scale.size != 1:
            return None
        offset = zero[0].reshape(-1)[0] if zero and zero[0] is not None else 0
        return float((np.float64(stored.reshape(-1)[0]) - np.float64(offset)) * np.float64(scale.reshape(-1)[0]))

    def _into(self, tensor: str) -> Node | None:
        out = self._graph.producer(tensor)
        if out is None or out.kind != OUT:
            return None
        into = self._graph.producer(out.inputs[0])
        if into is None or into.kind != INTO:
            return None
        same = self._graph.tensor(into.inputs[0]).dtype == self._graph.tensor(tensor).dtype
        return into if same else None
