"""Writes the nodes of a replacement: unattached, named by the graph, constants in the dtype of the tensor they meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import helper

from ...targets.dtypes import ELEMENT, FLOATS, LARGEST
from ...targets.operator_view import AttributeValue
from ..graph.graph import Graph
from ..graph.node import Node
from .rewrite import Replacement

Operand = str | float
COMPUTED = FLOATS - {"fp8"}
"""Dtypes that replacements compute in; fp8 only stores."""
AXES_AS_INPUT = {"ReduceMax": 18, "ReduceMean": 18, "ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}
"""From this opset on the axes are an input."""


class Builder:
    """Collects the nodes that stand for one old node. Numbers become constants of dtype `dtype` (a key of targets' BITS)."""

    def __init__(self, graph: Graph, dtype: str, hint: str) -> None:
        self.graph, self.dtype, self.hint = graph, dtype, hint
        self.nodes: list[Node] = []
        self._numbers: dict[float, str] = {}

    @classmethod
    def at(cls, graph: Graph, root: Node) -> Builder:
        """For a node whose first input has the dtype everything is computed in."""
        return cls(graph, graph.tensor(root.inputs[0]).dtype, root.outputs[0])

    def replaces(self, root: Node, result: str) -> Replacement:
        """The nodes so far, `result` taking over the root's first output."""
        return Replacement(tuple(self.nodes), {root.outputs[0]: result})

    def array(self, value: np.ndarray, dtype: str | None = None) -> str:
        """A constant tensor, cast once to `dtype` (the builder's own by default)."""
        return self.graph.constant(value.astype(helper.tensor_dtype_to_np_dtype(ELEMENT[dtype or self.dtype])), self.hint)

    def number(self, value: float) -> str:
        """A scalar constant; a value beyond the dtype's range becomes its largest."""
        if value not in self._numbers:
            kind = helper.tensor_dtype_to_np_dtype(ELEMENT[self.dtype])
            limit = largest(self.dtype)
            held = value if abs(value) == np.inf else min(max(value, -limit), limit)
            self._numbers[value] = self.graph.constant(np.array(held, kind), self.hint)
        return self._numbers[value]

    def integers(self, values: Sequence[int]) -> str:
        """A one-dimensional int64 constant: a shape, axes, starts."""
        return self.graph.constant(np.array(values, np.int64).reshape(-1), self.hint)

    def op(self, operator: str, *inputs: Operand, **attributes: AttributeValue) -> str:
        """Appends a node with one output and returns that output's name."""
        names = [self.number(item) if isinstance(item, float | int) else item for item in inputs]
        node = self.graph.node(operator, names, hint=f"{self.hint}_{operator.lower()}")
        node.attributes.update({key: helper.make_attribute(key, value) for key, value in sorted(attributes.items())})
        self.nodes.append(node)
        return node.outputs[0]

    def with_axes(self, operator: str, tensor: str, axes: Sequence[int], **attributes: AttributeValue) -> str:
        """ReduceMax, ReduceMean, ReduceSum, Squeeze, Unsqueeze: axes go where this graph's opset wants them."""
        if self.graph.opset >= AXES_AS_INPUT[operator]:
            return self.op(operator, tensor, self.integers(axes), **attributes)
        return self.op(operator, tensor, axes=tuple(axes), **attributes)

    def add(self, left: Operand, right: Operand) -> str:
        return self.op("Add", left, right)

    def sub(self, left: Operand, right: Operand) -> str:
        return self.op("Sub", left, right)

    def mul(self, left: Operand, right: Operand) -> str:
        return self.op("Mul", left, right)

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        return self.op("Reshape", tensor, self.integers(shape))

    def cast(self, tensor: str, dtype: str) -> str:
        return self.op("Cast", tensor, to=ELEMENT[dtype])


def largest(dtype: str) -> float:
    """The largest finite value of a float dtype."""
    return LARGEST.get(dtype, LARGEST["fp32"])
