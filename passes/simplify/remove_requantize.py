"""Takes out a dequantisation that is quantised again right away with the same scale and zero point.

QuantizeLinear(DequantizeLinear(q; s, z); s, z)  ->  q

Exact: let n = q - z, so |n| < 2⁸. The float n·s is off by half a unit in the last place, and so is its quotient by s; with the 11 bits
of fp16 or more, both together move n by less than 2⁸·2⁻¹⁰ < 1/2, and rounding to the nearest integer gives n again. For |n| < 2¹⁶ fp32
will do. The scale must be so far from the dtype's ends that n·s is normal and finite.

The other way round, DequantizeLinear(QuantizeLinear(x)) rounds x: it stays.
"""

from __future__ import annotations

from math import ldexp

import numpy as np

from ...targets.dtypes import SMALLEST_NORMAL
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.apply import name_stays
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

BITS = {("int8", "fp16"), ("uint8", "fp16"), *((dtype, "fp32") for dtype in ("int8", "uint8", "int16", "uint16"))}
RANGE = {"fp16": (SMALLEST_NORMAL["fp16"], ldexp(1, 7)), "fp32": (SMALLEST_NORMAL["fp32"], ldexp(1, 111))}
"""Scales between which n·s is normal and finite, for every n but 0."""


def match(graph: Graph, node: Node) -> Bindings | None:
    inner = graph.producer(node.inputs[0])
    if inner is None or inner.kind != "DequantizeLinear":
        return None
    q, scale = graph.tensor(inner.inputs[0]).dtype, inner.inputs[1]
    if q != graph.tensor(node.outputs[0]).dtype or (q, graph.tensor(scale).dtype) not in BITS:
        return None
    same = _equal(graph, scale, node.inputs[1]) and _equal(graph, *(n.inputs[2] if len(n.inputs) > 2 else "" for n in (inner, node)))
    blocks = {name: [graph.attribute(n, name) for n in (inner, node)] for name in ("axis", "block_size")}
    along = graph.tensor(scale).elements == 1 or blocks["axis"][0] == blocks["axis"][1]
    if not same or not along or any(size for size in blocks["block_size"]) or graph.attribute(node, "precision"):
        return None
    return Bindings(node, {"q": inner.inputs[0], "scale": scale})


def _equal(graph: Graph, left: str, right: str) -> bool:
    """One tensor, or two constants of one value. An absent zero point is 0."""
    if left == right:
        return True
    a, b = (np.zeros((), np.int8) if name == "" else graph.value(name) for name in (left, right))
    if a is None or b is None or (left and right and (a.dtype != b.dtype or a.shape != b.shape)):
        return False
    return bool(np.array_equal(a, b)) if left and right else not a.any() and not b.any()


def unless(graph: Graph, found: Bindings) -> str | None:
    value, (low, high) = graph.value(found["scale"]), RANGE[graph.tensor(found["scale"]).dtype]
    if value is None:
        return "the scale is not constant: it may be too small or too large for exact rounding"
    return None if bool(((value >= low) & (value <= high)).all()) else "a scale is too small or too large for exact rounding"


def build(b: Builder, found: Bindings) -> str:
    """Where the name of the result must stay, q's own operator computes it under that name."""
    graph, result, dequantised, q = b.graph, found.root.outputs[0], found.root.inputs[0], found["q"]
    if not name_stays(graph, result):
        return q
    maker = graph.producer(q)
    if maker is None or len(maker.writes) != 1 or graph.uses(q) != 1 or graph.uses(dequantised) != 1:
        return b.op("Identity", q)
    again = b.like(maker, *maker.inputs)
    b.nodes[-1].proto, b.nodes[-1].captures = maker.proto, maker.captures
    return again


REMOVE_REQUANTIZE = Rewrite(
    name="remove_requantize",
    summary="QuantizeLinear(DequantizeLinear(q; s, z); s, z) -> q",
    operators=("QuantizeLinear",),
    emits=("Identity",),  # or what made q
    contract=Contract("exact"),
    match=match,
    unless=unless,
    build=build,
)
