"""Recognises the smooth and the piecewise-linear self-gated activations.

x·σ(αx)                               -> Swish(x; α)                   opset 24   (SiLU is α = 1)
x·clip(x/6 + 1/2, 0, 1)               -> HardSwish(x)                  opset 14   (also x·relu6(x + 3)/6, x·HardSigmoid(x))
clip(αx + 1/2, 0, 1), α = 1/6 or 1/5  -> HardSigmoid(x; α, 1/2)        opset 6
"""

from __future__ import annotations

from ..formula.pattern import PRODUCTS, clip, scalar, sigmoid, var
from ..graph.graph import Graph
from ..rule.rewrite import Bindings, Contract, Rewrite

x = var("x")


def too_late(graph: Graph, found: Bindings) -> str | None:
    return f"onnxruntime expands Swish in models of opset 24 only, this one has {graph.opset}" if graph.opset > 24 else None


def not_double(graph: Graph, found: Bindings) -> str | None:
    return "x is fp64, and onnxruntime has no HardSigmoid for fp64" if graph.tensor(found["x"]).dtype == "fp64" else None


RECOVER_SWISH = Rewrite(
    name="recover_swish",
    summary="x·σ(αx) -> Swish(x; α)",
    operators=PRODUCTS,
    emits=("Swish",),
    contract=Contract("reassociates"),
    pattern=(x * sigmoid(scalar("alpha") * x),),
    unless=too_late,
    build=lambda b, found: b.op("Swish", found["x"], alpha=found.number("alpha")),
)
RECOVER_HARDSWISH = Rewrite(
    name="recover_hardswish",
    summary="x·clip(x/6 + 1/2, 0, 1) -> HardSwish(x)",
    operators=PRODUCTS,
    emits=("HardSwish",),
    contract=Contract("reassociates"),
    pattern=(x * clip(x / 6 + 0.5, 0, 1),),
    unless=not_double,
    build=lambda b, found: b.op("HardSwish", found["x"]),
)
RECOVER_HARDSIGMOID = Rewrite(
    name="recover_hardsigmoid",
    summary="clip(x/6 + 1/2, 0, 1) -> HardSigmoid(x; 1/6, 1/2)",
    operators=("Clip", "Min", "Max", *PRODUCTS),
    emits=("HardSigmoid",),
    contract=Contract("reassociates"),
    pattern=(clip(x / 6 + 0.5, 0, 1),),
    unless=not_double,
    build=lambda b, found: b.op("HardSigmoid", found["x"], alpha=1 / 6, beta=0.5),
)
RECOVER_HARDSIGMOID_FIFTH = Rewrite(
    name="recover_hardsigmoid_fifth",
    summary="clip(x/5 + 1/2, 0, 1) -> HardSigmoid(x; 1/5, 1/2)",
    operators=("Clip", "Min", "Max", *PRODUCTS),
    emits=("HardSigmoid",),
    contract=Contract("reassociates"),
    pattern=(clip(x / 5 + 0.5, 0, 1),),
    unless=not_double,
    build=lambda b, found: b.op("HardSigmoid", found["x"], alpha=1 / 5, beta=0.5),
    before=("recover_hardsigmoid",),  # which it is of 6/5·x
)
