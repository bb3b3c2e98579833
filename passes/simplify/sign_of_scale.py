"""The scale of a LayerNormalization in integers of the sign that its input has: Hexagon refuses the two in bytes of different sign.

LayerNormalization(D(q), D(w; s, z), b), q unsigned, w int8    ->  LayerNormalization(D(q), D(w + 128; s, z + 128), b), uint8
LayerNormalization(D(q), D(w; s, z), b), q int8, w uint8       ->  the same with -128, int8         D: DequantizeLinear

Exact: w - z stays what it was. onnxruntime's quantiser writes weights in int8 beside activations in uint8.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

OUT = "DequantizeLinear"
TURNED = {("uint8", "int8"): ("uint8", 128), ("uint16", "int8"): ("uint8", 128), ("int8", "uint8"): ("int8", -128)}
"""By the dtypes of the input and of the scale: the dtype that the scale gets, and what is added to it."""


def match(graph: Graph, node: Node) -> Bindings | None:
    data, scale = (graph.producer(name) for name in node.inputs[:2])
    if data is None or scale is None or data.kind != OUT or scale.kind != OUT or scale.inputs[0] not in graph.constants:
        return None
    turned = TURNED.get((graph.tensor(data.inputs[0]).dtype, graph.tensor(scale.inputs[0]).dtype))
    zeros = scale.inputs[2:]
    known = all(name in graph.constants for name in zeros if name)
    return Bindings(node, {"dtype": turned[0], "added": turned[1]}) if turned is not None and known else None


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
    return np.zeros(b.graph.tensor(scale.inputs[1]).shape or (), np.int8)


SIGN_OF_SCALE = Rewrite(
    name="sign_of_scale",
    summary="LayerNormalization of uint8 with a scale in int8 -> the same scale in uint8",
    operators=("LayerNormalization",),
    emits=(OUT, "LayerNormalization"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
