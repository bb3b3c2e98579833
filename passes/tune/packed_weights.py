"""Products with 4-bit weights as onnxruntime's CPU has a kernel for them, which reads them as they are stored.

A · DequantizeLinear(B, s, z)  ->  com.microsoft MatMulNBits(A, B', s', z')      B of int4 or uint4, in blocks along the axis summed over

The same of a Gemm: its operand is turned in front, alpha goes into the scales, and its bias is added behind.

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
MIDDLE = {"int4": 8, "uint4": 0}
"""What is added to a stored integer to make it 0 to 15, as MatMulNBits has it. Where it is given no zero points, it takes 8 for them."""


def match(graph: Graph, node: Node) -> Bindings | None:
    stored = graph.producer(node.inputs[1])
    if node.domain or stored is None or stored.kind != "DequantizeLinear" or graph.uses(node.inputs[1]) != 1:
        return None
    weight, scale, *zero = stored.inputs
    return Bindings(node, {"a": node.inputs[0], "b": node.inputs[1], "weight": weight, "scale": scale, "zero": zero[0] if zero else ""})


def unless(graph: Graph, found: Bindings) -> str | None:
    stored, weight = graph.producer(found["b"]), graph.tensor(found["weight"])
    assert stored is not None, "match() has seen it"
    if not weight.const or not graph.tensor(found["scale"]).const or weight.dtype not in MIDDLE or len(weight.shape or ()) != 2:
        return "the weight is no constant matrix of int4 or uint4"
    if graph.tensor(found["a"]).dtype != "fp32" or graph.tensor(found.root.outputs[0]).dtype != "fp32":
        return "the product is not computed in fp32"
    block, along = graph.attribute(stored, "block_size"), (1, -1) if _turned(graph, found.root) else (0, -2)
    kernel = isinstance(block, int) and SMALLEST <= block <= LARGEST and not block & (block - 1)
    if graph.attribute(stored, "axis") not in along or not kernel:
        return "the weight is not in blocks along the axis that is summed over"
    if found["zero"] and graph.value(found["zero"]) is None:
        return "the zero points of the weight are no constant"
    return None if (graph.tensor(found["a"]).shape or ()) else "the rank of the operand is not known"


def build(b: Builder, found: Bindings) -> str:
    graph = b.graph
    stored, weight, scale = graph.producer(found["b"]), graph.value(found["weight"]), graph.value(found["scale"])
    assert stored is not None and weight is not None and scale is not None, "unless() has seen them"
    block = graph.attribute(stored, "block_size")
    assert isinstance(block, int)
    if turned := _turned(graph, found.root):
        weight, scale = weight.T, scale.T
    rows, columns = weight.shape
    middle = MIDDLE[graph.tensor(found["weight"]).dtype]
    operands = [
        b.array(_nibbles(weight, middle, block).reshape(columns, -1, block // 2), "uint8", "packed"),
        b.array((np.ascontiguousarray(scale.T) * np.float32(_number(graph, found.root, "alpha"))).reshape(-1), "fp32", "scales"),
    ]
    if found["zero"]:
        zero = graph.value(found["zero"])
        assert zero is not None, "unless() has seen it"
        operands.append(b.array(_nibbles(zero.T if turned else zero, middle, 2), "uint8", "zeros"))
    elif middle == 0:
        operands.append(b.array(np.zeros((columns, -(-scale.shape[0] // 2)), np.uint8), "uint8", "zeros"))
    kind = {"K": rows, "N": columns, "bits": BITS, "block_size": block}
    turn = found.root.kind == "Gemm" and graph.attribute(found.root, "transA")
    read = b.op("Transpose", found["a"], perm=(1, 0)) if turn else found["a"]
    node = graph.node("MatMulNBits", [read, *operands], domain="com.microsoft", hint=b.hint, **kind)
    b.nodes.append(node)
    bias, beta = found.root.inputs[2] if len(found.root.inputs) > 2 else "", _number(graph, found.root, "beta")
    if not bias or not beta:
        return node.outputs[0]
    return b.add(node.outputs[0], bias if beta == 1.0 else b.mul(bias, beta))


def _number(graph: Graph, node: Node, name: str) -> float:
    """A factor of a Gemm; 1 where it has none."""
    value = graph.attribute(node, name)
    return value if node.kind == "Gemm" and isinstance(value, float) else 1.0


def _turned(graph: Graph, node: Node) -> bool:
    """Whether the weight is [N, K]."""
    return node.kind == "Gemm" and bool(graph.attribute(node, "transB"))


def _nibbles(values: np.ndarray, middle: int, multiple: int) -> np.ndarray:
    """[N, K / 2] bytes of [K, N] integers, the earlier one in the lower half; K is filled up to a `multiple` with what stands for zero."""
    rows, columns = values.shape
    filled = np.full((columns, -(-rows // multiple) * multiple), middle, np.uint8)
    filled[:, :rows] = np.asarray(values).astype(np.int8).T + np.int8(middle)
    packed: np.ndarray = filled[:, ::2] | (filled[:, 1::2] << 4)
    return packed


MATMUL_BITS = Rewrite(
    name="matmul_nbits",
    summary="A · DequantizeLinear(B) -> com.microsoft MatMulNBits(A, B)   B of int4 or uint4 in blocks",
    operators=("MatMul", "Gemm"),
    emits=("com.microsoft::MatMulNBits", "Add", "Mul", "Transpose"),
    contract=Contract("reassociates"),
    match=match,
    unless=unless,
    build=build,
)
