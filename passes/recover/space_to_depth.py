"""Recognises SpaceToDepth and DepthToSpace that exporters write as movements of elements.

Reshape(Transpose(Reshape(x)))                        ->  SpaceToDepth(x; b), DepthToSpace(x; b, DCR or CRD)    any equal shuffle
Concat(x[…, i::b, j::b] for (i, j) in rows of b×b)    ->  SpaceToDepth(x; b)
Conv(Concat(x[…, i::b, j::b] in any order), W)        ->  Conv(SpaceToDepth(x; b), W'),  W' = W with its input channels in the new order

The last is the first layer of many detectors ("Focus"), whose slices go down the columns.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite
from ..rule.shuffle import Shuffle, canonical, depth_to_space, space_to_depth

DTYPES = frozenset({"fp16", "fp32", "fp64", "int8", "uint8"})
"""Those that onnxruntime has kernels for."""
Place = tuple[int, int]


def match_shuffle(graph: Graph, node: Node) -> tuple[str, Shuffle] | None:
    """x and how Reshape-Transpose-Reshape moves its elements."""
    transpose = graph.producer(node.inputs[0])
    if transpose is None or transpose.kind != "Transpose" or graph.uses(node.inputs[0]) != 1:
        return None
    split, order = graph.producer(transpose.inputs[0]), graph.attribute(transpose, "perm")
    if split is None or split.kind != "Reshape" or not isinstance(order, tuple):
        return None
    shape = graph.tensor(transpose.inputs[0]).shape
    if shape is None or sum(extent is None for extent in shape) > 1 or 0 in shape:
        return None
    moved = canonical(shape, [int(k) for k in order])
    return (split.inputs[0], moved) if moved.moves else None


def match_depth(graph: Graph, node: Node) -> Bindings | None:
    found = match_shuffle(graph, node)
    block = None if found is None else _ratio(graph, node.outputs[0], found[0])
    if found is None or block is None:
        return None
    x, moved = found
    for mode in ("DCR", "CRD"):
        spelled = depth_to_space(graph.tensor(x).shape or (), block, mode)
        if spelled is not None and canonical(spelled.shape, spelled.order) == moved:
            return Bindings(node, {"x": x, "block": block, mode: x})
    return None


def match_space(graph: Graph, node: Node) -> Bindings | None:
    if node.kind == "Concat":
        found = slices(graph, node)
        row = None if found is None else [divmod(k, found[1]) for k in range(found[1] ** 2)]
        return Bindings(node, {"x": found[0], "block": found[1]}) if found is not None and list(found[2]) == row else None
    moved = match_shuffle(graph, node)
    block = None if moved is None else _ratio(graph, moved[0], node.outputs[0])
    spelled = None if moved is None or block is None else space_to_depth(graph.tensor(moved[0]).shape or (), block)
    if moved is None or block is None or spelled is None or canonical(spelled.shape, spelled.order) != moved[1]:
        return None
    return Bindings(node, {"x": moved[0], "block": block})


def _ratio(graph: Graph, larger: str, smaller: str) -> int | None:
    """How many times as wide and high one image is as the other: a whole number from 2 on. Images and channels must fit."""
    a, b = graph.tensor(larger).shape, graph.tensor(smaller).shape
    if a is None or b is None or len(a) != 4 or len(b) != 4 or not a[2] or not a[3] or not b[2] or not b[3] or not a[1] or not b[1]:
        return None
    block = a[2] // b[2]
    fits = a[0] == b[0] and a[2] == block * b[2] and a[3] == block * b[3] and a[1] * block**2 == b[1]
    return block if fits and block > 1 else None


def slices(graph: Graph, node: Node) -> tuple[str, int, tuple[Place, ...]] | None:
    """x, b and the places (i, j), if the Concat joins the b² interleaved parts of an image, each once."""
    shape, count = graph.tensor(node.outputs[0]).shape, len(node.inputs)
    block = isqrt(count)
    if shape is None or len(shape) != 4 or graph.attribute(node, "axis") not in (1, -3) or block < 2 or block**2 != count:
        return None
    found = [_slice(graph, name, block) for name in node.inputs]
    places = tuple(part[1] for part in found if part is not None)
    sources = {part[0] for part in found if part is not None}
    if len(sources) != 1 or len(places) != count or len(set(places)) != count:
        return None
    return sources.pop(), block, places


def _slice(graph: Graph, name: str, block: int) -> tuple[str, Place] | None:
    """x and the place, if the tensor is x[…, i::b, j::b], in one Slice or two."""
    starts: dict[int, int] = {}
    while len(starts) < 2:
        node = graph.producer(name)
        taken = None if node is None or node.kind != "Slice" else _strides(graph, node, block)
        if taken is None or not taken or starts.keys() & taken.keys() or node is None:
            return None
        starts.update(taken)
        name = node.inputs[0]
    return name, (starts[2], starts[3])


def _strides(graph: Graph, node: Node, block: int) -> dict[int, int] | None:
    """Where a Slice starts on height (axis 2) and width (axis 3), if it takes every b-th row to the end and does nothing else."""
    shape = graph.tensor(node.inputs[0]).shape
    values = [graph.value(name) for name in node.inputs[1:]]
    if shape is None or len(shape) != 4 or len(values) != 4 or any(value is None for value in values):
        return None
    found: dict[int, int] = {}
    for start, end, axis, step in zip(*(value.reshape(-1).tolist() for value in values if value is not None), strict=True):
        extent = shape[axis]
        if axis % 4 not in (2, 3) or not extent or extent % block or step != block or not 0 <= start < block:
            return None
        if len(range(start, extent if end >= extent else end % extent, step)) != extent // block:
            return None
        found[axis % 4] = start
    return found


def match_focus(graph: Graph, node: Node) -> Bindings | None:
    """A Conv over all channels of slices that are not in the order of SpaceToDepth."""
    concat, weights = graph.producer(node.inputs[0]), graph.value(node.inputs[1])
    if concat is None or concat.kind != "Concat" or graph.uses(node.inputs[0]) != 1 or weights is None or weights.ndim != 4:
        return None
    found = slices(graph, concat)
    if found is None or graph.attribute(node, "group") != 1:
        return None
    x, block, places = found
    order = tuple(i * block + j for i, j in places)
    return None if list(order) == sorted(order) else Bindings(node, {"x": x, "block": block, "order": order})


def unless_unknown(graph: Graph, found: Bindings) -> str | None:
    dtype = graph.tensor(found["x"]).dtype
    if dtype not in DTYPES:
        return f"x is {dtype}, for which onnxruntime has neither SpaceToDepth nor DepthToSpace"
    return f"opset {graph.opset} has no mode CRD" if "CRD" in found and graph.opset < 11 else None


def build_space(b: Builder, found: Bindings) -> str:
    return b.op("SpaceToDepth", found["x"], blocksize=int(found.number("block")))


def build_depth(b: Builder, found: Bindings) -> str:
    mode = {} if b.graph.opset < 11 else {"mode": "CRD" if "CRD" in found else "DCR"}
    return b.op("DepthToSpace", found["x"], blocksize=int(found.number("block")), **mode)


def build_focus(b: Builder, found: Bindings) -> str:
    root, order = found.root, found.integers("order")
    weights = b.graph.value(root.inputs[1])
    assert weights is not None, "match() has seen it"
    parts = weights.reshape(weights.shape[0], len(order), -1, *weights.shape[2:])
    turned = b.array(parts[:, np.argsort(order)].reshape(weights.shape))
    image = b.op("SpaceToDepth", found["x"], blocksize=int(found.number("block")))
    return b.like(root, image, turned, *root.inputs[2:])


RECOVER_DEPTH_TO_SPACE = Rewrite(
    name="recover_depth_to_space",
    summary="Reshape(Transpose(Reshape(x))) -> DepthToSpace(x; b, DCR or CRD)",
    operators=("Reshape",),
    emits=("DepthToSpace",),
    contract=Contract("exact"),
    match=match_depth,
    unless=unless_unknown,
    build=build_depth,
)
RECOVER_SPACE_TO_DEPTH = Rewrite(
    name="recover_space_to_depth",
    summary="Reshape(Transpose(Reshape(x))), Concat(x[…, i::b, j::b], …) -> SpaceToDepth(x; b)",
    operators=("Reshape", "Concat"),
    emits=("SpaceToDepth",),
    contract=Contract("exact"),
    match=match_space,
    unless=unless_unknown,
    build=build_space,
)
RECOVER_FOCUS = Rewrite(
    name="recover_focus",
    summary="Conv(Concat(x[…, i::b, j::b] in any order), W) -> Conv(SpaceToDepth(x; b), W')",
    operators=("Conv",),
    emits=("SpaceToDepth", "Conv"),
    contract=Contract("reassociates"),
    match=match_focus,
    unless=unless_unknown,
    build=build_focus,
)
