"""Products with 4-bit weights as onnxruntime's CPU has a kernel for them, which reads them as they are stored.

A · DequantizeLinear(B, s)  ->  com.microsoft MatMulNBits(A, B', s')          B of int4, in blocks along its first axis, without zero points

As DequantizeLinear and MatMul it takes ten times as long, since the weights are dequantised in every run; where onnxruntime's own optimiser
writes MatMulNBits, it rounds the activations to 8 bits as well. Weights of 8 bits have no such kernel that computes in floats and is fast.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

BITS, SMALLEST, LARGEST = 4, 16, 256
"""Of a weight; the blocks that MatMulNBits takes are powers of two."""


def match(graph: Graph, node: Node) -> Bindings | None:
    stored = graph.producer(node.inputs[1])
    if node.domain or stored is None or stored.kind != "DequantizeLinear" or graph.uses(node.inputs[1]) != 1:
        return None
    return Bindings(node, {"a": node.inputs[0], "b": node.inputs[1], "weight": stored.inputs[0], "scale": stored.inputs[1]})


def unless(graph: Graph, found: Bindings) -> str | None:
    stored, weight = graph.producer(found["b"]), graph.tensor(found["weight"])
    assert stored is not None, "match() has seen it"
    if not weight.const or not graph.tensor(found["scale"]).const or weight.dtype != "int4" or len(weight.shape or ()) != 2:
        return "the weight is no constant matrix of int4"
    if graph.tensor(found["a"]).dtype != "fp32" or graph.tensor(found.root.outputs[0]).dtype != "fp32":
        return "the product is not computed in fp32"
    block, axis = graph.attribute(stored, "block_size"), graph.attribute(stored, "axis")
    if axis not in (0, -2) or not isinstance(block, int) or block & (block - 1) or not SMALLEST <= block <= LARGEST:
        return "the weight is not in blocks along the axis that is summed over"
    zero = graph.value(stored.inputs[2]) if len(stored.inputs) > 2 and stored.inputs[2] else None
    if len(stored.inputs) > 2 and stored.inputs[2] and (zero is None or np.asarray(zero).astype(np.int8).any()):
        return "the weight has zero points"
    return None if (graph.tensor(found["a"]).shape or ()) else "the rank of the operand is not known"


def build(b: Builder, found: Bindings) -> str:
    graph = b.graph
    stored, weight, scale = graph.producer(found["b"]), graph.value(found["weight"]), graph.value(found["scale"])
    assert stored is not None and weight is not None and scale is not None, "unless() has seen them"
    block = graph.attribute(stored, "block_size")
    assert isinstance(block, int)
    rows, columns = weight.shape
    blocks = -(-rows // block)
    padded = np.zeros((columns, blocks * block), np.uint8)
    padded[:, :rows] = np.asarray(weight).astype(np.int8).T + np.int8(8)
    packed = (padded[:, ::2] | (padded[:, 1::2] << 4)).reshape(columns, blocks, block // 2)
    node = graph.node(
        "MatMulNBits",
        [found["a"], b.array(packed, "uint8", "packed"), b.array(np.ascontiguousarray(scale.T).reshape(-1), "fp32", "scales")],
        domain="com.microsoft",
        hint=b.hint,
        K=rows,
        N=columns,
        bits=BITS,
        block_size=block,
    )
    b.nodes.append(node)
    return node.outputs[0]


MATMUL_BITS = Rewrite(
    name="matmul_nbits",
    summary="A · DequantizeLinear(B) -> com.microsoft MatMulNBits(A, B)   B of int4 in blocks",
    operators=("MatMul",),
    emits=("com.microsoft::MatMulNBits",),
    contract=Contract("reassociates"),
    match=match,
    unless=unless,
    build=build,
)
