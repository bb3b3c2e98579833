"""GELU for devices without Gelu and Erf: three families of spellings, each at four errors; the target's tolerance chooses.

    gelu(x) = w + w·erf(x/√2) ≈ w + w·tanh(p(x)),   w = x/2,   p odd: p(x) = x·q(x²)

    tanh       w + w·tanh(x·q(u))                      u = x²
    sigmoid    x·σ(x·2q(u))                            since (1 + tanh t)/2 = σ(2t)
    relu_tanh  relu(x) + a·(tanh(a·q(u))/2 - 1/2)      a = |x| = relu(x) + relu(-x); no cancellation for large negative x

The three are equal over the reals, so an error belongs to p alone. Coefficients minimise the supremum of |error| over all reals
(minimax fit). The suprema below, with coefficients rounded to fp32, are certified by interval bounds and both tails in
tests/passes/substitute/test_substitute_gelu.py.

    t1  p = c1·x                  1.3922e-2
    t2  p = c1·x + c3·x³          2.7073e-4      (the usual √(2/π), 0.044715·√(2/π): 4.7329e-4 at x = 2.699, at the same cost)
    t3  p = x·r(v)                2.5188e-5      v = relu(20 - x²), r quadratic: beyond |x| = √20, p goes on as a straight line
    t5  odd polynomial to x⁹      3.0192e-6

A node with approximate="tanh" stands for the usual form itself: `of_tanh` spells exactly that, with no error over the reals.
In fp16 x² is infinite beyond |x| = 256; tanh and σ saturate, relu(20 - ∞) is 0 and no product 0·∞ occurs, so every form stays right
there. Without its clamp t3 would turn round: the coefficient of x⁵ is negative. Written in v the clamp costs two operators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

OWN = (sqrt(2 / pi), 0.044715 * sqrt(2 / pi))


@dataclass(frozen=True, slots=True)
class Form:
    """q by rising powers of u, or of relu(clamp - u), and the supremum of the error against Gelu with approximate="none" and "tanh"
    (rounded up)."""

    name: str
    coefficients: tuple[float, ...]
    none: float | None
    tanh: float | None
    clamp: float | None = None

    @property
    def error(self) -> float:
        return max(self.none or 0.0, self.tanh or 0.0)


T1 = Form("t1", (0.886466661,), none=1.393e-2, tanh=1.434e-2)
T2 = Form("t2", (0.800157085555, 0.03470089052), none=2.71e-4, tanh=None)
OF_TANH = Form("of_tanh", OWN, none=None, tanh=0.0)
T3 = Form("t3", (1.3970140764136, -0.02294497334576, -0.000351516813821), none=2.52e-5, tanh=None, clamp=20.0)
T5 = Form("t5", (0.79782813575, 0.0364687916677, -0.000124861971227, -3.05809577806e-05, 1.11908013911e-06), none=3.03e-6, tanh=None)


def match(graph: Graph, node: Node) -> Bindings | None:
    return Bindings(node, {"x": node.inputs[0], "mode": str(graph.attribute(node, "approximate") or "none")})


def tanh_form(b: Builder, x: str, form: Form) -> str:
    half = b.mul(x, 0.5)
    return b.add(half, b.mul(half, b.op("Tanh", _inner(b, x, form))))


def sigmoid_form(b: Builder, x: str, form: Form) -> str:
    return b.mul(x, b.op("Sigmoid", _inner(b, x, form, 2.0)))


def relu_tanh_form(b: Builder, x: str, form: Form) -> str:
    positive = b.op("Relu", x)
    size = b.add(positive, b.op("Relu", b.mul(x, -1.0)))
    bend = b.op("Tanh", _inner(b, size, form))
    return b.add(positive, b.mul(size, b.add(b.mul(bend, 0.5), -0.5)))


def _inner(b: Builder, x: str, form: Form, scale: float = 1.0) -> str:
    """scale·x·q(x²) by Horner's scheme."""
    *lower, total = (scale * c for c in form.coefficients)
    if not lower:
        return b.mul(x, total)
    power = b.mul(x, x) if form.clamp is None else b.op("Relu", b.sub(form.clamp, b.mul(x, x)))
    value: str | float = total
    for coefficient in reversed(lower):
        value = b.add(b.mul(power, value), coefficient)
    return b.mul(x, value)


def _rule(family: str, spell: Callable[[Builder, str, Form], str], form: Form, emits: tuple[str, ...]) -> Rewrite:
    def unless(graph: Graph, found: Bindings) -> str | None:
        mode = str(found.values["mode"])
        if (form.none if mode == "none" else form.tanh) is None:
            return f"this form approximates the other variant of GELU: the node has approximate={mode}"
        return None

    def build(b: Builder, found: Bindings) -> str:
        return spell(b, found["x"], form)

    return Rewrite(
        name=family if form is T2 else f"{family}_{form.name}",
        summary=f"Gelu(x) -> {SPELLING[family]} with q of degree {len(form.coefficients) - 1}, error {form.error:g}",
        operators=("Gelu", "com.microsoft::Gelu"),
        emits=emits if form.clamp is None else tuple(dict.fromkeys((*emits, "Sub", "Relu"))),
        contract=Contract("bounded", form.error) if form.error else Contract("reassociates"),
        match=match,
        unless=unless,
        build=build,
    )


SPELLING = {
    "relu_tanh": "relu(x) + |x|·(tanh(|x|·q(x²)) - 1)/2",
    "tanh": "x/2 + x/2·tanh(x·q(x²))",
    "sigmoid": "x·σ(2x·q(x²))",
}
FORMS = (T1, T2, OF_TANH, T3, T5)
RELU_TANH = tuple(_rule("relu_tanh", relu_tanh_form, form, ("Relu", "Tanh", "Mul", "Add")) for form in FORMS)
TANH = tuple(_rule("tanh", tanh_form, form, ("Tanh", "Mul", "Add")) for form in FORMS)
SIGMOID = tuple(_rule("sigmoid", sigmoid_form, form, ("Sigmoid", "Mul", "Add")) for form in FORMS)


def build_erf(b: Builder, found: Bindings) -> str:
    x = found["x"]
    half = b.mul(x, 0.5)
    return b.add(half, b.mul(half, b.op("Erf", b.mul(x, sqrt(0.5)))))


def not_tanh(graph: Graph, found: Bindings) -> str | None:
    return None if found.values["mode"] == "none" else "the node is the tanh form, not the erf form"


GELU_ERF = Rewrite(
    name="gelu_erf",
    summary="Gelu(x) -> x/2 + x/2·erf(x/√2)",
    operators=("Gelu", "com.microsoft::Gelu"),
    emits=("Erf", "Mul", "Add"),
    contract=Contract("reassociates"),
    match=match,
    unless=not_tanh,
    build=build_erf,
)
