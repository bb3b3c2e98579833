"""DepthToSpace in the other order of its channels, where a convolution makes them: its filters are put into that order, as constants.

    DepthToSpace(Conv(x; W, b); CRD)  ->  DepthToSpace(Conv(x; P·W, P·b); DCR)        P moves filter c·s² + k to k·C + c

for blocks of s × s, C channels that come out, and 0 <= k < s². PixelShuffle behind a convolution is how networks enlarge images; kernels
that know DCR alone would turn what lies between the two.
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """The block."""
    conv, block = graph.producer(node.inputs[0]), graph.attribute(node, "blocksize")
    if conv is None or conv.kind != "Conv" or graph.attribute(node, "mode") != "CRD" or not isinstance(block, int):
        return None
    weights = [graph.value(name) for name in conv.inputs[1:] if name]
    if graph.attribute(conv, "group") != 1 or any(value is None for value in weights) or graph.uses(node.inputs[0]) > 1:
        return None
    return Bindings(node, {"block": float(block)}) if not graph.is_output(node.inputs[0]) else None


def build(b: Builder, found: Bindings) -> str:
    root, block = found.root, int(found.number("block"))
    conv = b.graph.producer(root.inputs[0])
    assert conv is not None
    weights = [np.asarray(b.graph.value(name)) for name in conv.inputs[1:] if name]
    order = np.arange(len(weights[0])).reshape(-1, block * block).T.ravel()
    moved = [b.graph.constant(value[order], b.hint) for value in weights]
    return b.like(root, b.like(conv, conv.inputs[0], *moved), changed={"mode": "DCR"})


SHUFFLE_FILTERS = Rewrite(
    name="shuffle_filters",
    summary="DepthToSpace(Conv(x; W); CRD) -> DepthToSpace(Conv(x; P·W); DCR), P a permutation of the filters",
    operators=("DepthToSpace",),
    emits=("Conv", "DepthToSpace"),
    contract=Contract("exact"),
    match=match,
    build=build,
    once=True,
)
