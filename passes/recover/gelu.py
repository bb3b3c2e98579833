"""Recognises the GELU that exporters spell out, so that a device with Gelu gets it and one without chooses its own form.

gelu(x)       = x/2 · (1 + erf(x/√2))                                 Gelu, opset 20
gelu~(x)      = x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))          Gelu with approximate="tanh"
              = x · σ(2·√(2/π) · (x + 0.044715·x³))                   the same, since σ(2t) = (1 + tanh t)/2
"""

from __future__ import annotations

from math import pi, sqrt

from ..formula.pattern import PRODUCTS, SUMS, erf, sigmoid, tanh, var
from ..graph.graph import Graph
from ..rule.rewrite import Bindings, Contract, Rewrite

x = var("x")
CUBIC = sqrt(2 / pi) * (x + 0.044715 * x**3)
OVER = "all reals, constants as rounded by the model (to 1e-5)"


def unless_exact(graph: Graph, found: Bindings) -> str | None:
    if graph.tensor(found["x"]).dtype == "fp64":
        return "x is fp64, and onnxruntime has no Gelu for fp64"
    return None


RECOVER_GELU = Rewrite(
    name="recover_gelu",
    summary="x/2 · (1 + erf(x/√2)) -> Gelu(x)",
    operators=(*PRODUCTS, *SUMS),
    emits=("Gelu",),
    contract=Contract("reassociates", over=OVER),
    pattern=(0.5 * x * (1 + erf(x / sqrt(2))),),
    unless=unless_exact,
    build=lambda b, found: b.op("Gelu", found["x"], approximate="none"),
)
RECOVER_GELU_TANH = Rewrite(
    name="recover_gelu_tanh",
    summary="x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) -> Gelu(x, approximate=tanh)",
    operators=(*PRODUCTS, *SUMS),
    emits=("Gelu",),
    contract=Contract("reassociates", over=OVER),
    pattern=(0.5 * x * (1 + tanh(CUBIC)), x * sigmoid(2 * CUBIC)),
    build=lambda b, found: b.op("Gelu", found["x"], approximate="tanh"),
)
