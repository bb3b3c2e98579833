"""Activations in terms of simpler ones."""

from __future__ import annotations

from collections.abc import Callable

from .build import COMPUTED, Builder
from .graph import Graph, Node
from .rewrite import Bindings, Contract, Replacement, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """Any such node on floats, with its alpha and beta."""
    if graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    numbers = {name: graph.attribute(node, name) for name in ("alpha", "beta")}
    return Bindings(node, {name: value for name, value in numbers.items() if isinstance(value, float)})


def _scaled(b: Builder, x: str, factor: float, offset: float = 0.0) -> str:
    product = x if factor == 1.0 else b.mul(x, factor)
    return b.add(product, offset) if offset else product


def swish(graph: Graph, found: Bindings) -> Replacement:
    b, x = Builder.at(graph, found.root), found.root.inputs[0]
    return b.replaces(found.root, b.mul(x, b.op("Sigmoid", _scaled(b, x, found.number("alpha")))))


def hard_swish(graph: Graph, found: Bindings) -> Replacement:
    b, x = Builder.at(graph, found.root), found.root.inputs[0]
    return b.replaces(found.root, b.mul(x, b.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)))


def hard_swish_clip(graph: Graph, found: Bindings) -> Replacement:
    b, x = Builder.at(graph, found.root), found.root.inputs[0]
    return b.replaces(found.root, b.mul(x, b.op("Clip", _scaled(b, x, 1 / 6, 0.5), 0.0, 1.0)))


def hard_sigmoid(graph: Graph, found: Bindings) -> Replacement:
    b, x = Builder.at(graph, found.root), found.root.inputs[0]
    return b.replaces(found.root, b.op("Clip", _scaled(b, x, found.number("alpha"), found.number("beta")), 0.0, 1.0))


def sigmoid(graph: Graph, found: Bindings) -> Replacement:
    b, x = Builder.at(graph, found.root), found.root.inputs[0]
    return b.replaces(found.root, _scaled(b, b.op("Tanh", b.mul(x, 0.5)), 0.5, 0.5))


def leaky(graph: Graph, found: Bindings) -> Replacement:
    """relu(x) - slope·relu(-x)."""
    b, x = Builder.at(graph, found.root), found.root.inputs[0]
    slope: str | float = found.root.inputs[1] if found.root.operator == "PRelu" else found.number("alpha")
    return b.replaces(found.root, b.sub(b.op("Relu", x), b.mul(b.op("Relu", b.mul(x, -1.0)), slope)))


def _rule(name: str, summary: str, operator: str, emits: tuple[str, ...], build: Callable[[Graph, Bindings], Replacement]) -> Rewrite:
    contract = Contract("reassociates")
    return Rewrite(name=name, summary=summary, operators=(operator,), emits=emits, build=build, contract=contract, match=match)


ACTIVATIONS = (
    _rule("swish_sigmoid", "Swish(x; α) -> x·σ(αx)", "Swish", ("Sigmoid", "Mul"), swish),
    _rule("hardswish_hardsigmoid", "HardSwish(x) -> x·HardSigmoid(x; 1/6, 1/2)", "HardSwish", ("HardSigmoid", "Mul"), hard_swish),
    _rule("hardswish_clip", "HardSwish(x) -> x·clip(x/6 + 1/2, 0, 1)", "HardSwish", ("Clip", "Mul", "Add"), hard_swish_clip),
    _rule("hardsigmoid_clip", "HardSigmoid(x) -> clip(αx + β, 0, 1)", "HardSigmoid", ("Clip", "Mul", "Add"), hard_sigmoid),
    _rule("sigmoid_tanh", "σ(x) -> 1/2 + tanh(x/2)/2", "Sigmoid", ("Tanh", "Mul", "Add"), sigmoid),
    _rule("leakyrelu_relu", "LeakyRelu(x; α) -> relu(x) - α·relu(-x)", "LeakyRelu", ("Relu", "Mul", "Sub"), leaky),
    _rule("prelu_relu", "PRelu(x, s) -> relu(x) - s·relu(-x)", "PRelu", ("Relu", "Mul", "Sub"), leaky),
)
