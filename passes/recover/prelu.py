"""Recognises rectifiers with a slope below zero.

relu(x) - s·relu(-x),  relu(x) + s·min(x, 0)      -> PRelu(x, s)              opset 9 for slopes that broadcast to x
the same with one number for s                    -> LeakyRelu(x; s)          opset 6

A model may also hold the negated slope; PRelu's is then made from it.
"""

from __future__ import annotations

from math import inf

from ..formula.pattern import SUMS, clip, scalar, var, weight
from ..graph.graph import Graph
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

x = var("x")
ABOVE, BELOW = clip(x, 0.0, inf), clip(-x, 0.0, inf)
"""x = ABOVE - BELOW, both at least 0."""
MINIMUM = clip(x, -inf, 0.0)


def unless_leaky(graph: Graph, found: Bindings) -> str | None:
    return "x is fp64, and onnxruntime has no LeakyRelu for fp64" if graph.tensor(found["x"]).dtype == "fp64" else None


def unless_prelu(graph: Graph, found: Bindings) -> str | None:
    slope, shape = graph.tensor(_slope(found)).shape, graph.tensor(found["x"]).shape
    if graph.tensor(found["x"]).dtype == "fp64":
        return "x is fp64, and onnxruntime has no PRelu for fp64"
    if slope is None or shape is None or len(slope) > len(shape):
        return "the slope has more axes than x"
    if any(extent not in (1, shape[k]) for k, extent in enumerate(slope, start=len(shape) - len(slope))):
        return "the slope does not broadcast to x"
    return None


def prelu(b: Builder, found: Bindings) -> str:
    slope = found["slope"] if "slope" in found else _negated(b, found["negated"])
    return b.op("PRelu", found["x"], slope)


def _slope(found: Bindings) -> str:
    return found["slope"] if "slope" in found else found["negated"]


def _negated(b: Builder, tensor: str) -> str:
    value = b.graph.value(tensor)
    assert value is not None, "the pattern has a constant there"
    return b.array(-value)


RECOVER_PRELU = Rewrite(
    name="recover_prelu",
    summary="relu(x) - s·relu(-x) -> PRelu(x, s)",
    operators=SUMS,
    emits=("PRelu",),
    contract=Contract("exact"),
    pattern=(
        ABOVE - weight("slope") * BELOW,
        ABOVE + weight("negated") * BELOW,
        ABOVE + weight("slope") * MINIMUM,
        ABOVE - weight("negated") * MINIMUM,
    ),
    unless=unless_prelu,
    build=prelu,
)
RECOVER_LEAKYRELU = Rewrite(
    name="recover_leakyrelu",
    summary="relu(x) + α·min(x, 0) -> LeakyRelu(x; α)",
    operators=SUMS,
    emits=("LeakyRelu",),
    contract=Contract("reassociates"),
    pattern=(ABOVE - scalar("alpha") * BELOW, ABOVE + scalar("alpha") * MINIMUM),
    unless=unless_leaky,
    build=lambda b, found: b.op("LeakyRelu", found["x"], alpha=found.number("alpha")),
)
