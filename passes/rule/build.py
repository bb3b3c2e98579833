"""Writes what stands for an operator: nodes not in the graph yet, named by it, constants in the dtype of the tensor they meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from onnx import helper

from ...targets.dtypes import BITS, ELEMENT, FLOATS, LARGEST
from ...targets.operator_view import AttributeValue
from ..graph.graph import Graph
from ..graph.node import Node

Operand = str | float
COMPUTED = FLOATS - {"fp8"}
"""Dtypes that replacements compute in; fp8 only stores."""
SWALLOWS = 1e4
"""x + c - c is x but for the rounding of c; for a larger c too little of x is left, in fp32 too."""
NOTHING: Mapping[str, AttributeValue] = MappingProxyType({})
AXES_AS_INPUT = {"ReduceMax": 18, "ReduceMean": 18, "ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}
"""From this opset on the axes are an input."""


class UnknownDtype(Exception):
    """A constant is to be written in a dtype that is not known, or that arrays do not have."""


class Builder:
    """Collects the nodes that stand for one old node, in `nodes`. Numbers become constants of `dtype` ("fp32", "fp16" …)."""

    def __init__(self, graph: Graph, dtype: str, hint: str) -> None:
        self.graph, self.dtype, self.hint = graph, dtype, hint
        self.nodes: list[Node] = []
        self._numbers: dict[float, str] = {}

    @classmethod
    def at(cls, graph: Graph, root: Node) -> Builder:
        """In the dtype of the root's first output; where it is unknown (an operator without shape inference), of its first input."""
        dtypes = (graph.tensor(name).dtype for name in (root.outputs[0], *root.inputs[:1]))
        return cls(graph, next((dtype for dtype in dtypes if dtype != "unknown"), "unknown"), root.outputs[0])

    def within(self, dtype: str) -> Builder:
        """A builder of the same nodes whose numbers have another dtype."""
        if dtype == self.dtype:
            return self
        other = Builder(self.graph, dtype, self.hint)
        other.nodes = self.nodes
        return other

    def array(self, value: np.ndarray, dtype: str | None = None, name: str = "") -> str:
        """A constant tensor, cast once to `dtype` (the builder's own by default); `name` becomes part of the tensor's."""
        kind = self._kind(dtype or self.dtype)
        return self.graph.constant(value.astype(kind), f"{self.hint}_{name}" if name else self.hint)

    def number(self, value: float) -> str:
        """A scalar constant; a value beyond the dtype's range becomes its largest."""
        if value not in self._numbers:
            kind = self._kind(self.dtype)
            limit = largest(self.dtype)
            held = value if abs(value) == np.inf else min(max(value, -limit), limit)
            self._numbers[value] = self.graph.constant(np.array(held, kind), self.hint)
        return self._numbers[value]

    def _kind(self, dtype: str) -> np.dtype[np.generic]:
        if dtype not in BITS:
            raise UnknownDtype(f"the dtype of {self.hint} is {dtype}")
        return helper.tensor_dtype_to_np_dtype(ELEMENT[dtype])

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

    def like(
        self, node: Node, *inputs: str, operator: str = "", without: Iterable[str] = (), changed: Mapping[str, AttributeValue] = NOTHING
    ) -> str:
        """Appends the operator of `node` (or `operator`) on other inputs, and returns its output's name. It has the attributes of `node`
        except those `without`; those `changed` are added, or replace the node's."""
        new = self.graph.node(operator or node.operator, inputs, domain=node.domain, hint=self.hint)
        new.attributes = {key: attribute for key, attribute in node.attributes.items() if key not in without}
        new.attributes.update({key: helper.make_attribute(key, value) for key, value in changed.items()})
        self.nodes.append(new)
        return new.outputs[0]

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
