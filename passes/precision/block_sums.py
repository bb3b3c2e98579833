"""Products with weights that have an offset for each block: the offsets are multiplied with the sums over blocks of the operand.

    A · (s · q + o)  =  A · DequantizeLinear(q, s)  +  sums(A) · o        sums(A): [..., K / block], o: [K / block, N]

So offsets take no more room than scales, and a kernel for weights in 4 bits that knows none does the most of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from ...targets.dtypes import ELEMENT
from ..graph.graph import Graph
from ..graph.node import Node
from .constants import Constants
from .weights import Weight


class BlockSums:
    """Of one graph that is being written; operators that read the same tensor share its sums."""

    def __init__(self, graph: Graph, constants: Constants) -> None:
        self._graph, self._constants = graph, constants
        self._made: dict[tuple[str, int, bool], str] = {}

    def added(self, node: Node, twin: Node, weight: Weight) -> list[Node]:
        """What is to stand behind `twin`, the product without offsets, whose result gets another name; the last of them adds the offsets.
        node: the MatMul or Gemm with the weight in floats."""
        assert weight.offset is not None and weight.axis is not None, "the caller has looked"
        graph, read, result = self._graph, node.inputs[0], node.outputs[0]
        shape, alpha = graph.tensor(result).shape, graph.attribute(node, "alpha") if node.kind == "Gemm" else 1.0
        turned = node.kind == "Gemm" and graph.attribute(node, "transA") == 1
        made = self._sums(read, weight.block, turned)
        added = np.moveaxis(weight.offset, weight.axis, 0) * np.float32(alpha if isinstance(alpha, float) else 1.0)
        offsets = self._constants.array(np.ascontiguousarray(added), f"{node.inputs[1]}_offsets")
        twin.outputs[0] = self._learned(graph.fresh(f"{result}_without_offsets"), shape)
        product = self._node("MatMul", [self._made[read, weight.block, turned], offsets], f"{result}_offsets", shape)
        total = self._node("Add", [twin.outputs[0], product.outputs[0]], f"{result}_with_offsets", shape)
        return [*made, product, total]

    def _sums(self, read: str, block: int, turned: bool) -> list[Node]:
        """turned: blocks lie along the first axis of a matrix, else along the last one. The last block may be shorter."""
        if (read, block, turned) in self._made:
            return []
        shape, rows = self._graph.tensor(read).shape, list[Node]()
        assert shape is not None, "a product whose rank is known"
        if turned:
            shape = shape[::-1]
            rows.append(self._node("Transpose", [read], f"{read}_turned", shape, perm=[1, 0]))
        assert shape[-1] is not None, "its weights have as many rows"
        before, lacking = len(shape) - 1, -int(shape[-1]) % block
        if lacking:
            ends = self._constants.array(np.array([0] * (2 * before + 1) + [lacking], np.int64), f"{read}_ends")
            whole = (*shape[:-1], int(shape[-1]) + lacking)
            rows.append(self._node("Pad", [rows[-1].outputs[0] if rows else read, ends], f"{read}_filled", whole))
        runs = (int(shape[-1]) + lacking) // block
        split = self._constants.array(np.array([*[0] * before, runs, block], np.int64), f"{read}_split")
        last = self._constants.array(np.array([-1], np.int64), "last_axis")
        blocks = self._node("Reshape", [rows[-1].outputs[0] if rows else read, split], f"{read}_blocks", (*shape[:-1], runs, block))
        sums = self._node("ReduceSum", [blocks.outputs[0], last], f"{read}_sums", (*shape[:-1], runs), keepdims=0)
        self._made[read, block, turned] = sums.outputs[0]
        return [*rows, blocks, sums]

    def _node(self, kind: str, inputs: list[str], hint: str, shape: Any, **attributes: Any) -> Node:
        node = self._graph.node(kind, inputs, domain="", hint=hint, **attributes)
        self._learned(node.outputs[0], shape)
        return node

    def _learned(self, name: str, shape: Any) -> str:
        if shape is not None:
            self._graph.tensors.learn(onnx.helper.make_tensor_value_info(name, ELEMENT["fp32"], list(shape)))
        return name
