"""Widens integer weights of operators in floats when a model is loaded, instead of in every run.

    f(…, DequantizeLinear(W; s, z), …)  ->  f(…, (Cast(W) - z)·s, …)        W constant in 8 or 4 bits, f a Conv, MatMul, Gemm, LSTM …

In blocks, an axis of W is two: that of blocks, and that of the elements of a block.

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
    if kept or not any(reader.operator in PREPARED for reader in readers) or graph.is_output(result):
        return None
    if graph.attribute(node, "block_size") and _has_kernel(graph, node):
        return None
    return Bindings(node, {"zero": zero})


def _has_kernel(graph: Graph, node: Node) -> bool:
    """Whether blocks are of 4 bits, which products are computed with as they are stored (`packed_weights`)."""
    return graph.tensor(node.inputs[0]).dtype in ("int4", "uint4")


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
    axis, block = b.graph.attribute(node, "axis"), b.graph.attribute(node, "block_size")
    assert scale is not None, "match() has seen it"
    zero = None if zero is None or not zero.any() else zero.astype(np.float32)
    if isinstance(block, int) and block:
        return _of_blocks(b, node.inputs[0], scale, zero, (axis if isinstance(axis, int) else 1) % len(shape), block)
    real = b.cast(node.inputs[0], "fp32")
    if zero is not None:
        real = b.sub(real, b.array(_along(zero, axis, len(shape))))
    return b.mul(real, b.array(_along(scale, axis, len(shape))))


def _of_blocks(b: Builder, stored: str, scale: np.ndarray, zero: np.ndarray | None, axis: int, block: int) -> str:
    """With an axis of blocks and one of the elements of a block in place of one. Where the last block is shorter, scales are spread."""
    shape = [int(size or 0) for size in b.graph.tensor(stored).shape or ()]
    if shape[axis] % block:
        real = b.cast(stored, "fp32")
        if zero is not None:
            real = b.sub(real, _spread(b, zero, axis, block, shape[axis]))
        return b.mul(real, _spread(b, scale, axis, block, shape[axis]))
    real = b.cast(b.reshape(stored, [*shape[:axis], shape[axis] // block, block, *shape[axis + 1 :]]), "fp32")
    if zero is not None:
        real = b.sub(real, b.array(np.expand_dims(zero, axis + 1)))
    return b.reshape(b.mul(real, b.array(np.expand_dims(scale, axis + 1))), shape)


def _spread(b: Builder, values: np.ndarray, axis: int, block: int, size: int) -> str:
    """What belongs to blocks, for each element; stored as it is, since it is computed when a model is loaded."""
    shape = list(values.shape)
    each = b.op("Expand", b.array(np.expand_dims(values, axis + 1)), b.integers([*shape[: axis + 1], block, *shape[axis + 1 :]]))
    whole = b.reshape(each, [*shape[:axis], shape[axis] * block, *shape[axis + 1 :]])
    return b.op("Slice", whole, *(b.integers([k]) for k in (0, size, axis)))


def _along(values: np.ndarray, axis: object, rank: int) -> np.ndarray:
    if values.size == 1:
        return values.reshape(())
    place = axis if isinstance(axis, int) else 1
    return values.reshape([-1 if k == place % rank else 1 for k in range(rank)])


PLAIN_WEIGHTS = Rewrite(
    name="plain_weights",
    summary="f(…, DequantizeLinear(W; s, z), …) -> f(…, (Cast(W) - z)·s, …)",
    operators=("DequantizeLinear",),
    emits=("Cast", "Sub", "Mul", "Expand", "Reshape", "Slice"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
