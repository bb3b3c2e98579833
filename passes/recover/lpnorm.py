"""Recognises division by the length of a vector.

x / √(Σ x²)  over one axis     -> LpNormalization(x; axis, p = 2)         opset 1

Also where the sum is a mean times a number, or a ReduceSumSquare or ReduceL2. With an ε under the root it is another function (that is
left to RMSNormalization), and a clamped length (x / max(‖x‖, ε)) is left alone: for a shorter x the two differ.
"""

from __future__ import annotations

from math import sqrt

from ..formula.pattern import PRODUCTS, mean, scalar, var
from ..graph.graph import Graph
from ..rule.build import Builder
from ..rule.rewrite import ROUNDING, Bindings, Contract, Rewrite

x, gain = var("x"), scalar("gain")
CLOSE = 1e-5


def unless(graph: Graph, found: Bindings) -> str | None:
    axes, shape = found.integers("axes"), graph.tensor(found["x"]).shape
    if len(axes) != 1:
        return f"the norm is over {len(axes)} axes, and LpNormalization's over one"
    extent = None if shape is None else shape[axes[0]]
    if not extent:
        return "the extent of the axis is not known"
    wanted, close = 1 / sqrt(extent), max(CLOSE, ROUNDING.get(graph.tensor(found["x"]).dtype, 0.0))
    return None if abs(found.number("gain") - wanted) <= close * wanted else "the mean is not scaled to a sum"


def build(b: Builder, found: Bindings) -> str:
    return b.op("LpNormalization", found["x"], axis=found.integers("axes")[0], p=2)


RECOVER_LPNORM = Rewrite(
    name="recover_lpnorm",
    summary="x/√(Σx²) -> LpNormalization(x; p = 2)",
    operators=PRODUCTS,
    emits=("LpNormalization",),
    contract=Contract("reassociates", over="x that is not all zero along the axis"),
    pattern=(gain * x * mean(x**2) ** -0.5,),
    unless=unless,
    build=build,
)
