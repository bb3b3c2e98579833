"""Widens integer weights of operators in floats when a model is loaded, instead of in every run.

    f(…, DequantizeLinear(W; s, z), …)  ->  f(…, (Cast(W) - z)·s, …)        W constant in 8 or 4 bits, f a Conv, MatMul, Gemm, LSTM …

onnxruntime (1.32, CPU) keeps every DequantizeLinear for the units that it computes in integers. Where f is none of these, it computes it
anew in each run, and f without what it prepares for constant weights: a Conv of 256x256x3x3 took 414 us instead of 299, an LSTM of 128
38 us instead of 19, a MatMul of 1024x1024 and one row 275 us instead of 89. Cast, Sub and Mul of constants it folds. MatMul and Gemm it
would take with their DequantizeLinear as MatMulNBits, which is faster only where it rounds the activations to 8 bits as well (16 us; 930 us
with activations in floats).
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

PREPARED = frozenset({"Conv", "ConvTranspose", "LSTM", "GRU", "RNN", "MatMul", "Gemm"})
"""Operators whose constant weights onnxruntime brings into another layout when it loads a model."""
STORED = frozenset({"int8", "uint8", "int4", "uint4"})
"""Of weights; int32 is a bias, which onnxruntime takes as it is."""
GRIDS = frozenset({"QuantizeLinear", "DequantizeLinear"})


def match(graph: Graph, node: Node) -> Bindings | None:
    """Of fp32, read by one of PREPARED, and by none that takes it as it is."""
    stored, scale = node.inputs[0], node.inputs[1]
    zero = node.inputs[2] if len(node.inputs) > 2 else ""
    constants = all(name in graph.constants for name in (stored, scale, zero) if name)
    if not constants or graph.tensor(stored).dtype not in STORED or graph.tensor(scale).dtype != "fp32":
        return None
    readers, result = graph.users(node.outputs[0]), node.outputs[0]
    kept = any(reader.domain or _in_integers(graph, reader) for reader in readers)
    if kept or not any(reader.operator in PREPARED for reader in readers) or graph.is_output(result) or graph.attribute(node, "block_size"):
        return None
    return Bindings(node, {"zero": zero})


def _in_integers(graph: Graph, node: Node) -> bool:
    """Whether activations come or go in integers: onnxruntime then computes the whole unit in them."""
    before = graph.producer(node.inputs[0])
    if node.kind in GRIDS:
        return True
    behind = [user for name in node.writes for user in graph.users(name)]
    stored = before is not None and before.kind in GRIDS and before.inputs[0] not in graph.constants
    return stored or any(user.kind in GRIDS for user in behind)


def build(b: Builder, found: Bindings) -> str:
    node, shape = found.root, b.graph.tensor(found.root.inputs[0]).shape or ()
    scale, zero = b.graph.value(node.inputs[1]), b.graph.value(found["zero"]) if found["zero"] else None
    axis = b.graph.attribute(node, "axis")
    assert scale is not None, "match() has seen it"
    real = b.cast(node.inputs[0], "fp32")
    if zero is not None and zero.any():
        real = b.sub(real, b.array(_along(zero.astype(np.float32), axis, len(shape))))
    return b.mul(real, b.array(_along(scale, axis, len(shape))))


def _along(values: np.ndarray, axis: object, rank: int) -> np.ndarray:
    if values.size == 1:
        return values.reshape(())
    place = axis if isinstance(axis, int) else 1
    return values.reshape([-1 if k == place % rank else 1 for k in range(rank)])


PLAIN_WEIGHTS = Rewrite(
    name="plain_weights",
    summary="f(…, DequantizeLinear(W; s, z), …) -> f(…, (Cast(W) - z)·s, …)",
    operators=("DequantizeLinear",),
    emits=("Cast", "Sub", "Mul"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
