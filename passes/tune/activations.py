"""Activations in operators that onnxruntime's CPU computes in vectors, where its own kernel does not (1.32, fp32, one thread; the first two
beside other work).

    softplus(x)        ->  relu(x) + log w + (t - (w - 1))/w, w = 1 + t, t = e^-|x|
                                                                   57,600 elements: 840 us, in parts 248 us
    Mish(x)            ->  x·n/(n + 2), n = e·(e + 2), e = e^x      870 us, in parts 90 us
    Elu(x; α)          ->  relu(x) + α·(e^min(x, 0) - 1)            86 us, in parts 29 us
    Selu(x; α, γ)      ->  γ·relu(x) + γα·(e^min(x, 0) - 1)
    PRelu(x, s)        ->  relu(x) + s·min(x, 0)                    180 us, in parts 30 us
    Pow(x, ¼, ½, ¾)    ->  √√x, √x, √x·√√x                          177 us, in parts 18 to 40 us

Softplus: t has digits that w has not, where x is far from 0; (t - (w - 1))/w is what log w lacks by that.
Mish: tanh(ln(1 + e^x)) is (w² - 1)/(w² + 1) with w = 1 + e^x, and w² - 1 is n. Nothing cancels; from x = 20 on the quotient is 1 in
fp32. Not by way of Sigmoid, whose kernel is exact next to 1 only: at -10 it is 2e-4 of its value off. For fewer elements than LEAST the
parts are more calls than they save.
"""

from __future__ import annotations

from math import prod

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Build, Rewrite, reassociating

LEAST = {"Softplus": 512, "Mish": 512, "Pow": 512, "Elu": 4096, "Selu": 4096, "PRelu": 16384}
"""Elements from which on it pays: of 512, Mish took 8.0 us and its parts 4.1, Softplus 7.2 and 4.6, Pow 4.1 and 2.5 to 3.2, Elu 3.1 and
3.7; of 4096 PRelu took 4.0 and 4.8."""
SOFTPLUS = ("Relu", "Abs", "Neg", "Exp", "Add", "Sub", "Div", "Log")
QUARTERS = (0.25, 0.5, 0.75)


def match(graph: Graph, node: Node) -> Bindings | None:
    """In fp32, of a known size that is worth it."""
    shape = extents(graph, node.inputs[0])
    if shape is None or graph.tensor(node.inputs[0]).dtype != "fp32" or prod(shape) < LEAST[node.kind]:
        return None
    numbers = {name: graph.attribute(node, name) for name in ("alpha", "gamma")}
    return Bindings(node, {name: value for name, value in numbers.items() if isinstance(value, float)})


def match_power(graph: Graph, node: Node) -> Bindings | None:
    exponent = graph.scalar(node.inputs[1])
    fits = exponent in QUARTERS and extents(graph, node.outputs[0]) == extents(graph, node.inputs[0])
    return Bindings(node, {"exponent": float(exponent or 0)}) if fits and match(graph, node) is not None else None


def softplus(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    t = b.op("Exp", b.op("Neg", b.op("Abs", x)))
    w = b.add(t, 1.0)
    lost = b.op("Div", b.sub(t, b.sub(w, 1.0)), w)
    return b.add(b.op("Relu", x), b.add(b.op("Log", w), lost))


def mish(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    e = b.op("Exp", b.op("Min", x, 20.0))
    n = b.mul(e, b.add(e, 2.0))
    return b.mul(x, b.op("Div", n, b.add(n, 2.0)))


def elu(b: Builder, found: Bindings) -> str:
    x, alpha = found.root.inputs[0], found.number("alpha")
    gamma = found.number("gamma") if "gamma" in found else 1.0
    below = b.sub(b.op("Exp", b.op("Min", x, 0.0)), 1.0)
    return b.add(_times(b, b.op("Relu", x), gamma), _times(b, below, gamma * alpha))


def _times(b: Builder, tensor: str, factor: float) -> str:
    return tensor if factor == 1.0 else b.mul(tensor, factor)


def prelu(b: Builder, found: Bindings) -> str:
    x, slope = found.root.inputs
    return b.add(b.op("Relu", x), b.mul(b.op("Min", x, 0.0), slope))


def power(b: Builder, found: Bindings) -> str:
    return roots(b, found.root.inputs[0], found.number("exponent"))


def roots(b: Builder, x: str, exponent: float) -> str:
    """x to an exponent out of QUARTERS."""
    half = b.op("Sqrt", x)
    if exponent == 0.5:
        return half
    quarter = b.op("Sqrt", half)
    return quarter if exponent == 0.25 else b.mul(half, quarter)


def _rule(kind: str, summary: str, emits: tuple[str, ...], build: Build) -> Rewrite:
    found = match_power if kind == "Pow" else match
    return reassociating(f"vector_{kind.lower()}", summary, kind, emits, found, build)


VECTOR_ACTIVATIONS = (
    _rule("Softplus", "softplus(x) -> relu(x) + log w + (t - (w - 1))/w, w = 1 + t, t = e^-|x|", SOFTPLUS, softplus),
    _rule("Mish", "Mish(x) -> x·n/(n + 2), n = e·(e + 2), e = e^x", ("Min", "Exp", "Add", "Mul", "Div"), mish),
    _rule("Elu", "Elu(x; α) -> relu(x) + α·(e^min(x, 0) - 1)", ("Relu", "Min", "Exp", "Sub", "Mul", "Add"), elu),
    _rule("Selu", "Selu(x; α, γ) -> γ·relu(x) + γα·(e^min(x, 0) - 1)", ("Relu", "Min", "Exp", "Sub", "Mul", "Add"), elu),
    _rule("PRelu", "PRelu(x, s) -> relu(x) + s·min(x, 0)", ("Relu", "Min", "Mul", "Add"), prelu),
    _rule("Pow", "Pow(x, ¼, ½, ¾) -> √√x, √x, √x·√√x", ("Sqrt", "Mul"), power),
)
