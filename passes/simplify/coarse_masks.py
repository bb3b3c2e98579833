"""Masks that were quantised with their fill: scores and mask lie on a grid whose step is a 255th of 3.4e38, as large as no device computes.

Softmax(D(Q(x + D(Q(m)))))  ->  the same on a grid of step STEP        Q, D: QuantizeLinear, DequantizeLinear with one scale s > MOST

Behind the grid of such a step a score is 0, and what Softmax makes of places a step or more below is 0, for s as for STEP: exp(-STEP) is
below the smallest number of fp32. So every integer stays what it was, and the result too. In fp16 the fill of the mask was infinite, and
the quotient by such a scale 0: a decoder attended to what it must not see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

INTO, OUT = "QuantizeLinear", "DequantizeLinear"
STEP = 128
"""A power of two, of which 255 are a number of fp16, and exp(-STEP) = 3e-56."""
MOST = 256
"""The largest step of a grid of 8 bits whose ends are numbers of fp16."""


@dataclass(frozen=True, slots=True)
class Pair:
    """DequantizeLinear of what a QuantizeLinear wrote, on one grid of a step and a zero point for all."""

    into: Node
    out: Node
    scale: float
    zero: int


def match(graph: Graph, node: Node) -> Bindings | None:
    scores = _pair(graph, node.inputs[0])
    add = graph.producer(scores.into.inputs[0]) if scores is not None else None
    if scores is None or add is None or add.kind != "Add" or scores.scale <= MOST:
        return None
    for k in (0, 1):
        mask = _pair(graph, add.inputs[k])
        if mask is not None and mask.scale == scores.scale and _reach(graph, add.inputs[1 - k]) < STEP // 2:
            maker = graph.producer(mask.into.inputs[0])
            if maker is not None and maker.kind == "Where" and all(name in graph.constants for name in maker.inputs[1:]):
                return Bindings(node, {"scores": node.inputs[0], "mask": add.inputs[k]})
    return None


def _pair(graph: Graph, tensor: str) -> Pair | None:
    out = graph.producer(tensor)
    into = graph.producer(out.inputs[0]) if out is not None and out.kind == OUT else None
    if out is None or into is None or into.kind != INTO:
        return None
    grids = [_grid(graph, node) for node in (into, out)]
    return Pair(into, out, *grids[0]) if grids[0] is not None and grids[0] == grids[1] else None


def _grid(graph: Graph, node: Node) -> tuple[float, int] | None:
    """Scale and zero point of 8 bits, where there is one of each and fp32 is what they stand for."""
    if len(node.inputs) < 3 or graph.tensor(node.inputs[1]).dtype != "fp32" or graph.tensor(node.inputs[2]).dtype not in ("uint8", "int8"):
        return None
    scale, zero = (graph.scalar(name) for name in node.inputs[1:])
    return None if scale is None or zero is None else (scale, int(zero))


def _reach(graph: Graph, tensor: str) -> float:
    """The largest magnitude of a dequantised tensor; infinite where it is none."""
    out = graph.producer(tensor)
    grid = _grid(graph, out) if out is not None and out.kind == OUT else None
    if out is None or grid is None:
        return float("inf")
    ends = _ends(graph, out.inputs[2])
    return max(abs(end - grid[1]) for end in ends) * grid[0]


def _ends(graph: Graph, zero: str) -> tuple[int, int]:
    value = graph.value(zero)
    assert value is not None, "it is constant"
    limits = np.iinfo(value.dtype)
    return int(limits.min), int(limits.max)


def build(b: Builder, found: Bindings) -> str:
    graph, root = b.graph, found.root
    scores, mask = _pair(graph, found["scores"]), _pair(graph, found["mask"])
    assert scores is not None and mask is not None, "match() has seen them"
    add, where = graph.producer(scores.into.inputs[0]), graph.producer(mask.into.inputs[0])
    assert add is not None and where is not None, "match() has seen them"
    step = b.array(np.array(STEP))
    low, high = (end - mask.zero for end in _ends(graph, mask.into.inputs[2]))
    fills = [_in_steps(graph, name, mask.scale, low, high) for name in where.inputs[1:]]
    masked = b.like(where, where.inputs[0], *(b.array(fill * STEP) for fill in fills))
    operands = list(add.inputs)
    operands[operands.index(found["mask"])] = _on_grid(b, mask, masked, step)
    return b.like(root, _on_grid(b, scores, b.like(add, *operands), step))


def _in_steps(graph: Graph, name: str, scale: float, low: int, high: int) -> np.ndarray:
    """The steps that a constant is quantised to, from 0."""
    value = graph.value(name)
    assert value is not None, "it is constant"
    return np.clip(np.rint(value.astype(np.float64) / scale), low, high)


def _on_grid(b: Builder, pair: Pair, tensor: str, step: str) -> str:
    return b.like(pair.out, b.like(pair.into, tensor, step, pair.into.inputs[2]), step, pair.out.inputs[2])


COARSE_MASKS = Rewrite(
    name="coarse_masks",
    summary="Softmax(x + m), x + m and m on a grid of step s > 256 -> the same on one of step 128",
    operators=("Softmax",),
    emits=("Where", "Add", INTO, OUT, "Softmax"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
