"""A Gather moved before the operators, element by element, that make its table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..structure import all_graphs
from .compute import tensor_bytes

if TYPE_CHECKING:
    import onnx

ELEMENTWISE = frozenset(
    "Abs Add And BitShift Cast Ceil Clip Cos Div Equal Erf Exp Floor Greater Identity Less Log Max Min Mod Mul Neg Not Or Pow Reciprocal "
    "Relu Round Sigmoid Sign Sin Softplus Sqrt Sub Tanh Where Xor".split()
)
DEEPEST = 16
"""Operators between a table and what it is made of."""


class Unmovable(Exception):
    """The Gather cannot be moved; it stays."""


class Commuter:
    """Writes Gathers of one graph anew."""

    def __init__(self, graph: onnx.GraphProto, makers: Mapping[str, onnx.NodeProto]) -> None:
        """makers: the nodes that compute constants from constants, by what they write."""
        self.makers = makers
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self._kinds = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
        parts = list(all_graphs(graph))
        self._taken = {name for part in parts for node in part.node for name in node.output}
        self._taken |= {value.name for part in parts for value in (*part.input, *part.initializer)}

    def bytes(self, name: str) -> int:
        """Bytes of a tensor; 0 where its size is not known."""
        from onnx import TensorProto

        shape = self._shape(name)
        kind = self._kinds[name].elem_type if name in self._kinds else 0
        return tensor_bytes(TensorProto(data_type=kind, dims=shape)) if kind and shape is not None else 0

    def write(self, gather: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The nodes that give what `gather` does. Raises Unmovable."""
        table, indices = gather.input
        rank = len(self.known(table))
        axis = next((a.i for a in gather.attribute if a.name == "axis"), 0) % max(rank, 1)
        site = _Site(self, axis, indices, len(self.known(indices)), [])
        last = site.gathered(table, rank, DEEPEST)
        if not site.nodes or last == table:
            raise Unmovable
        for node in site.nodes:
            node.output[0] = gather.output[0] if node.output[0] == last else node.output[0]
        site.nodes[-1].name = gather.name
        return site.nodes

    def fresh(self, name: str) -> str:
        made = f"{name}_gathered"
        while made in self._taken:
            made += "_"
        self._taken.add(made)
        return made

    def _shape(self, name: str) -> Sequence[int] | None:
        if name in self.constants:
            return list(self.constants[name].dims)
        kind = self._kinds.get(name)
        if kind is None or not kind.HasField("shape"):
            return None
        return [dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim]

    def known(self, name: str) -> Sequence[int]:
        shape = self._shape(name)
        if shape is None:
            raise Unmovable
        return shape


class _Site:
    """One Gather: its axis, its indices, and the nodes written so far."""

    def __init__(self, commuter: Commuter, axis: int, indices: str, index_rank: int, nodes: list[onnx.NodeProto]) -> None:
        self.commuter, self.axis, self.indices, self.index_rank, self.nodes = commuter, axis, indices, index_rank, nodes

    def gathered(self, name: str, rank: int, depth: int) -> str:
        """What `name` (of `rank` axes) holds at the indices."""
        node = self.commuter.makers.get(name)
        if depth == 0:
            raise Unmovable
        if node is None or node.domain not in ("", "ai.onnx"):
            return self._gather(name, self.axis)
        if node.op_type == "DequantizeLinear":
            return self._dequantized(node, rank, depth)
        if node.op_type not in ELEMENTWISE or len(node.output) != 1:
            return self._gather(name, self.axis)
        operands = [self._operand(operand, rank, depth) if operand else "" for operand in node.input]
        return self._like(node, operands)

    def _operand(self, name: str, rank: int, depth: int) -> str:
        """An operand of an operator whose result has `rank` axes: where it has the Gather's axis, gathered too."""
        shape = self.commuter.known(name)
        axis = self.axis - (rank - len(shape))
        if axis < 0 or (math.prod(shape) == 1 and len(shape) < rank + self.index_rank):
            return name
        if len(shape) == rank and shape[axis] > 1:
            return self.gathered(name, rank, depth - 1)
        raise Unmovable

    def _dequantized(self, node: onnx.NodeProto, rank: int, depth: int) -> str:
        attributes = {a.name: a.i for a in node.attribute}
        scale = self.commuter.known(node.input[1])
        if attributes.get("block_size"):
            raise Unmovable
        if math.prod(scale) == 1:
            return self._like(node, [self.gathered(node.input[0], rank, depth - 1), *node.input[1:]])
        along = attributes.get("axis", 1) % rank
        if along == self.axis and self.index_rank != 1:
            raise Unmovable  # one scale an index, and indices of several axes: there is no such DequantizeLinear
        factors = [self._gather(name, 0) if along == self.axis and name else name for name in node.input[1:]]
        moved = along if along <= self.axis else along + self.index_rank - 1
        return self._like(node, [self.gathered(node.input[0], rank, depth - 1), *factors], axis=moved)

    def _gather(self, name: str, axis: int) -> str:
        from onnx import helper

        made = self.commuter.fresh(name)
        self.nodes.append(helper.make_node("Gather", [name, self.indices], [made], name=made, axis=axis))
        return made

    def _like(self, node: onnx.NodeProto, operands: Sequence[str], **changed: Any) -> str:
        """The node on other operands."""
        from onnx import NodeProto, helper

        made = self.commuter.fresh(node.output[0])
        copy = NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.output[:]
        copy.input.extend(operands)
        copy.output.append(made)
        copy.name = made
        kept = [a for a in node.attribute if a.name not in changed]
        del copy.attribute[:]
        copy.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in changed.items())])
        self.nodes.append(copy)
        return made
