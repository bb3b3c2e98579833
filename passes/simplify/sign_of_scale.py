"""The scale of a LayerNormalization in integers of the sign that its input has: Hexagon refuses the two in bytes of different sign.

LayerNormalization(D(q), D(w; s, z), b), q unsigned, w int8    ->  LayerNormalization(D(q), D(w + 128; s, z + 128), b), uint8
LayerNormalization(D(q), D(w; s, z), b), q int8, w uint8       ->  the same with -128, int8         D: DequantizeLinear

Exact: w - z stays what it was. onnxruntime's quantiser writes weights in int8 beside activations in uint8.
"""

from __future__ import annotations

import numpy as np

from ...targets.dtypes import DTYPES, other_sign
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

OUT = "DequantizeLinear"
NARROW = 8
"""Bits of the scale."""


def match(graph: Graph, node: Node) -> Bindings | None:
    data, scale = (graph.producer(name) for name in node.inputs[:2])
    if data is None or scale is None or data.kind != OUT or scale.kind != OUT or scale.inputs[0] not in graph.constants:
        return None
    beside, dtype = (DTYPES.get(graph.tensor(maker.inputs[0]).dtype) for maker in (data, scale))
    known = all(name in graph.constants for name in scale.inputs[1:] if name)
    if beside is None or dtype is None or not known or dtype.bits != NARROW or {beside.kind, dtype.kind} != {"int", "uint"}:
        return None
    half = 1 << (NARROW - 1)
    return Bindings(node, {"dtype": other_sign(graph.tensor(scale.inputs[0]).dtype), "added": half if beside.kind == "uint" else -half})


def build(b: Builder, found: Bindings) -> str:
    scale = b.graph.producer(found.root.inputs[1])
    assert scale is not None, "match() has seen it"
    dtype, added = found["dtype"], found.number("added")
    weights = b.graph.value(scale.inputs[0])
    zero = b.graph.value(scale.inputs[2]) if len(scale.inputs) > 2 and scale.inputs[2] else _zeros(b, scale)
    assert weights is not None and zero is not None, "they are constant"
    moved = [b.array(value.astype(np.int32) + int(added), dtype) for value in (weights, zero)]
    return b.like(found.root, found.root.inputs[0], b.like(scale, moved[0], scale.inputs[1], moved[1]), *found.root.inputs[2:])


def _zeros(b: Builder, scale: Node) -> np.ndarray:
    """The zero point that was left out."""
    steps = b.graph.value(scale.inputs[1])
    return np.zeros(1 if steps is None else steps.shape, np.int8)


SIGN_OF_SCALE = Rewrite(
    name="sign_of_scale",
    summary="LayerNormalization of uint8 with a scale in int8 -> the same scale in uint8",
    operators=("LayerNormalization",),
    emits=(OUT, "LayerNormalization"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
