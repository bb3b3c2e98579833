"""Recognises the smooth functions that are built on a logarithm.

log(1 + eˣ)                  -> Softplus(x)           opset 1
x·tanh(softplus(x))          -> Mish(x)               opset 18
log(softmax(x))              -> LogSoftmax(x)         opset 1

Spelled out, the first overflows where eˣ does (x > 88 in fp32) and the last is -∞ where the softmax underflows; the operators do
neither, so there the two differ by what the spelling lost.
"""

from __future__ import annotations

from ..formula.pattern import PRODUCTS, call, tanh, var
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

x = var("x")
SOFTPLUS = call("Log", 1 + call("Exp", x))


def not_double(graph: Graph, found: Bindings) -> str | None:
    return "x is fp64, and onnxruntime has no Softplus for fp64" if graph.tensor(found["x"]).dtype == "fp64" else None


def match_log(graph: Graph, node: Node) -> Bindings | None:
    inner = graph.producer(node.inputs[0])
    return Bindings(node, {"x": inner.inputs[0], "y": node.inputs[0]}) if inner is not None and inner.kind == "Softmax" else None


def log_softmax(b: Builder, found: Bindings) -> str:
    softmax = b.graph.producer(found["y"])
    assert softmax is not None, "match() has seen it"
    return b.like(softmax, found["x"], operator="LogSoftmax")


RECOVER_SOFTPLUS = Rewrite(
    name="recover_softplus",
    summary="log(1 + exp(x)) -> Softplus(x)",
    operators=("Log",),
    emits=("Softplus",),
    contract=Contract("reassociates", over="x for which exp(x) is finite"),
    pattern=(SOFTPLUS,),
    unless=not_double,
    build=lambda b, found: b.op("Softplus", found["x"]),
)
RECOVER_MISH = Rewrite(
    name="recover_mish",
    summary="x·tanh(softplus(x)) -> Mish(x)",
    operators=PRODUCTS,
    emits=("Mish",),
    contract=Contract("reassociates", over="x for which exp(x) is finite, where softplus is written out"),
    pattern=(x * tanh(call("Softplus", x)), x * tanh(SOFTPLUS)),
    unless=not_double,
    build=lambda b, found: b.op("Mish", found["x"]),
)
RECOVER_LOGSOFTMAX = Rewrite(
    name="recover_logsoftmax",
    summary="log(softmax(x)) -> LogSoftmax(x)",
    operators=("Log",),
    emits=("LogSoftmax",),
    contract=Contract("reassociates", over="x whose softmax is not zero in the model's dtype"),
    match=match_log,
    build=log_softmax,
)
