"""Activations in terms of simpler ones."""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Build, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """Any such node on floats, with its alpha and beta."""
    if graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    numbers = {name: graph.attribute(node, name) for name in ("alpha", "beta")}
    return Bindings(node, {name: value for name, value in numbers.items() if isinstance(value, float)})


def _scaled(b: Builder, x: str, factor: float, offset: float = 0.0) -> str:
    product = x if factor == 1.0 else b.mul(x, factor)
    return b.add(product, offset) if offset else product


def swish(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return b.mul(x, b.op("Sigmoid", _scaled(b, x, found.number("alpha"))))


def hard_swish(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return b.mul(x, b.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def hard_swish_clip(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return b.mul(x, b.op("Clip", _scaled(b, x, 1 / 6, 0.5), 0.0, 1.0))


def hard_sigmoid(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return b.op("Clip", _scaled(b, x, found.number("alpha"), found.number("beta")), 0.0, 1.0)


def sigmoid(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return _scaled(b, b.op("Tanh", b.mul(x, 0.5)), 0.5, 0.5)


def softplus(b: Builder, found: Bindings) -> str:
    """relu(x) + log(1 + e^-|x|): no exponential of it overflows."""
    x = found.root.inputs[0]
    decay = b.op("Exp", b.mul(b.op("Abs", x), -1.0))
    return b.add(b.op("Relu", x), b.op("Log", b.add(decay, 1.0)))


def mish(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return b.mul(x, b.op("Tanh", b.op("Softplus", x)))


def log_softmax(b: Builder, found: Bindings) -> str:
    """d - log Σ e^d with d = x - max(x): no sum is 0 or infinite."""
    root = found.root
    axis = b.graph.attribute(root, "axis")
    assert isinstance(axis, int), "match_axis() has seen it"
    largest = b.with_axes("ReduceMax", root.inputs[0], (axis,), keepdims=1)
    d = b.sub(root.inputs[0], largest)
    return b.sub(d, b.op("Log", b.with_axes("ReduceSum", b.op("Exp", d), (axis,), keepdims=1)))


def match_axis(graph: Graph, node: Node) -> Bindings | None:
    """Below opset 13, all axes from `axis` on are one, which is the same for the last."""
    axis, shape = graph.attribute(node, "axis"), graph.tensor(node.inputs[0]).shape
    last = shape is not None and isinstance(axis, int) and axis in (-1, len(shape) - 1)
    return match(graph, node) if isinstance(axis, int) and (graph.opset >= 13 or last) else None


def leaky(b: Builder, found: Bindings) -> str:
    """relu(x) - slope·relu(-x)."""
    x = found.root.inputs[0]
    slope: str | float = found.root.inputs[1] if found.root.operator == "PRelu" else found.number("alpha")
    return b.sub(b.op("Relu", x), b.mul(b.op("Relu", b.mul(x, -1.0)), slope))


def _rule(name: str, summary: str, operator: str, emits: tuple[str, ...], build: Build) -> Rewrite:
    contract = Contract("reassociates")
    return Rewrite(name=name, summary=summary, operators=(operator,), emits=emits, build=build, contract=contract, match=match)


ACTIVATIONS = (
    _rule("swish_sigmoid", "Swish(x; α) -> x·σ(αx)", "Swish", ("Sigmoid", "Mul"), swish),
    _rule("hardswish_hardsigmoid", "HardSwish(x) -> x·HardSigmoid(x; 1/6, 1/2)", "HardSwish", ("HardSigmoid", "Mul"), hard_swish),
    _rule("hardswish_clip", "HardSwish(x) -> x·clip(x/6 + 1/2, 0, 1)", "HardSwish", ("Clip", "Mul", "Add"), hard_swish_clip),
    _rule("hardsigmoid_clip", "HardSigmoid(x) -> clip(αx + β, 0, 1)", "HardSigmoid", ("Clip", "Mul", "Add"), hard_sigmoid),
    _rule("sigmoid_tanh", "σ(x) -> 1/2 + tanh(x/2)/2", "Sigmoid", ("Tanh", "Mul", "Add"), sigmoid),
    _rule("leakyrelu_relu", "LeakyRelu(x; α) -> relu(x) - α·relu(-x)", "LeakyRelu", ("Relu", "Mul", "Sub"), leaky),
    _rule("softplus_log", "softplus(x) -> relu(x) + log(1 + e^-|x|)", "Softplus", ("Relu", "Abs", "Mul", "Exp", "Add", "Log"), softplus),
    _rule("mish_softplus", "Mish(x) -> x·tanh(softplus(x))", "Mish", ("Softplus", "Tanh", "Mul"), mish),
    Rewrite(
        name="logsoftmax_log",
        summary="LogSoftmax(x) -> d - log Σ exp(d) with d = x - max(x)",
        operators=("LogSoftmax",),
        emits=("ReduceMax", "Sub", "Exp", "ReduceSum", "Log"),
        contract=Contract("reassociates"),
        match=match_axis,
        build=log_softmax,
    ),
    _rule("prelu_relu", "PRelu(x, s) -> relu(x) - s·relu(-x)", "PRelu", ("Relu", "Mul", "Sub"), leaky),
)
