"""Widens integer weights beside floats when a model is loaded, instead of in every run.

    f(…, DequantizeLinear(W; s, z), …)  ->  f(…, (Cast(W) - z)·s, …)        W constant in 8 bits, f computed in floats

onnxruntime (1.32, CPU) keeps every DequantizeLinear for the units that it computes in integers. Where f is none of these, it computes it
anew in each run, and f without what it prepares for constant weights: a Conv of 256x256x3x3 took 414 us instead of 299, an LSTM of 128
38 us instead of 19. Of a MatMul it makes MatMulNBits, which by default rounds the other operand to 8 bits as well: off by 2 % of the
result's spread. Cast, Sub and Mul of constants it folds.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

GRIDS = frozenset({"QuantizeLinear", "DequantizeLinear"})


def match(graph: Graph, node: Node) -> Bindings | None:
    stored, scale = node.inputs[0], node.inputs[1]
    zero = node.inputs[2] if len(node.inputs) > 2 else ""
    constants = all(name in graph.constants for name in (stored, scale, zero) if name)
    if node.domain or not constants or graph.tensor(stored).dtype not in ("int8", "uint8"):
        return None
    return Bindings(node, {"zero": zero})


def unless(graph: Graph, found: Bindings) -> str | None:
    node = found.root
    if graph.tensor(node.inputs[1]).dtype != "fp32" or graph.attribute(node, "block_size"):
        return "its scales are not in fp32, one for each channel or for all"
    readers = graph.users(node.outputs[0])
    if graph.is_output(node.outputs[0]) or not readers or not all(_in_floats(graph, reader) for reader in readers):
        return "a reader may be computed in integers"
    return None


def _in_floats(graph: Graph, node: Node) -> bool:
    """Whether some activation comes in as floats: onnxruntime's kernels of integers take none."""
    if node.kind in GRIDS or node.captures:
        return False
    varying = [name for name in node.inputs if name and name not in graph.constants and graph.tensor(name).dtype == "fp32"]
    makers = [maker for name in varying if not _stored(graph, maker := graph.producer(name))]
    return any(maker is None or maker.kind != "DequantizeLinear" for maker in makers)


def _stored(graph: Graph, maker: Node | None) -> bool:
    """Whether it is another weight in integers."""
    return maker is not None and maker.kind == "DequantizeLinear" and maker.inputs[0] in graph.constants


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
    summary="f(…, DequantizeLinear(W; s, z), …) -> f(…, (Cast(W) - z)·s, …)   W a constant that floats read",
    operators=("DequantizeLinear",),
    emits=("Cast", "Sub", "Mul"),
    contract=Contract("exact"),
    match=match,
    unless=unless,
    build=build,
)
