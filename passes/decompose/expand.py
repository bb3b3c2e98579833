"""Expand for devices without it: repetition along one axis, or multiplication by ones.

Expand(x, s) = Concat(x, x, …; axis)   where one axis of length 1 grows
Expand(x, s) = x · ones                where ones has the extents that grow, and 1 elsewhere
"""

from __future__ import annotations

import math

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

MOST_PIECES = 16
"""Longer repetitions are cheaper as a product."""
MOST_ONES = 1 << 18
"""Elements of the constant that a product may need: beyond it reading the ones costs more than the expansion is worth."""


def grown(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """Per axis of the output how often the input is repeated there; None if a shape is not known."""
    before, after = graph.tensor(node.inputs[0]).shape, graph.tensor(node.outputs[0]).shape
    if before is None or after is None or None in before or None in after or len(before) > len(after):
        return None
    padded = (1,) * (len(after) - len(before)) + before
    if any(a != b and a != 1 for a, b in zip(padded, after, strict=True)):
        return None
    return tuple(1 if a == b else b or 0 for a, b in zip(padded, after, strict=True))


def match_concat(graph: Graph, node: Node) -> Bindings | None:
    times, before = grown(graph, node), graph.tensor(node.inputs[0]).shape
    if times is None or before is None or len(before) != len(times):
        return None
    axes = [axis for axis, count in enumerate(times) if count != 1]
    if len(axes) != 1 or not 2 <= times[axes[0]] <= MOST_PIECES:
        return None
    return Bindings(node, {"axis": axes[0], "count": times[axes[0]]})


def build_concat(b: Builder, found: Bindings) -> str:
    root = found.root
    copies = [root.inputs[0]] * int(found.number("count"))
    return b.op("Concat", *copies, axis=int(found.number("axis")))


def match_mul(graph: Graph, node: Node) -> Bindings | None:
    times = grown(graph, node)
    fits = times is not None and 0 < math.prod(times) <= MOST_ONES and graph.tensor(node.inputs[0]).dtype in COMPUTED
    return Bindings(node, {"ones": times}) if fits and times is not None else None


def build_mul(b: Builder, found: Bindings) -> str:
    return b.mul(found.root.inputs[0], b.array(np.ones(found.integers("ones"))))


EXPANSIONS = (
    Rewrite(
        name="expand_concat",
        summary="Expand(x) -> Concat(x, x, …)",
        operators=("Expand",),
        emits=("Concat",),
        contract=Contract("exact"),
        match=match_concat,
        build=build_concat,
    ),
    Rewrite(
        name="expand_mul",
        summary="Expand(x) -> x · ones",
        operators=("Expand",),
        emits=("Mul",),
        contract=Contract("exact"),
        match=match_mul,
        build=build_mul,
    ),
)
