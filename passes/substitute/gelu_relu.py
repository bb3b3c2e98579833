"""GELU from Relu, Mul and Add alone, piecewise linear, for devices that have neither Tanh nor Sigmoid.

    gelu(x) = relu(x) - g(a),   g(a) = a/2·erfc(a/√2),   a = |x|
    -g(a) ≈ Σ wᵢ·relu(tᵢ - a),  -a = x - 2·relu(x)

Fitting g and not gelu itself halves the work: every knot counts on both sides of 0. Beyond the last knot the sum is exactly 0, so the
form is relu(x) there, in every dtype: nothing is cancelled, and in fp16 -2·relu(x) may overflow to -∞ without harm (relu(t - ∞) = 0).

Knots and weights minimise the supremum of |error| over all reals (free knots, minimax). It is largest at knots, in the middle of
pieces, and at 0, where the form is off by the supremum too. Suprema with fp32 coefficients, certified in
tests/passes/substitute/test_substitute_gelu_relu.py; beside them those of spelling every relu of x on its own, as is usual:

    relus  operators  error       usual
      4       15      1.2181e-2   16 operators, 3.0e-2
      6       23      4.6612e-3   24 operators, 9.2e-3
      9       35      2.3783e-3   36 operators, 6.2e-3
     16       63      6.5826e-4   64 operators, 3.1e-3

Gelu with approximate="tanh" is within 4.7329e-4 of gelu and has bounds of its own; a rule's contract is the larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


@dataclass(frozen=True, slots=True)
class Form:
    """Knots t, weights w, suprema of the error against both GELUs (rounded up)."""

    relus: int
    knots: tuple[float, ...]
    weights: tuple[float, ...]
    none: float
    tanh: float

    @property
    def error(self) -> float:
        return max(self.none, self.tanh)


# fmt: off
FORMS = (
    Form(
        4,
        (0.353794462, 0.85868278, 2.59800091),
        (0.309186679, 0.147722057, -0.0956178887),
        none=1.2181e-2, tanh=1.2223e-2,
    ),
    Form(
        6,
        (0.29958999, 0.641686747, 1.00892098, 2.16353312, 3.1882203),
        (0.228498538, 0.194341426, 0.0709540169, -0.0837154749, -0.0276776396),
        none=4.662e-3, tanh=4.717e-3,
    ),
    Form(
        9,
        (0.174544018, 0.353786185, 0.598329826, 0.869978942, 1.07904024, 2.0051714, 2.43321942, 3.28196972),
        (0.13638337, 0.145449687, 0.143451196, 0.0944965356, 0.026683724, -0.0528353111, -0.0440536742, -0.0186803488),
        none=2.379e-3, tanh=2.557e-3,
    ),
    Form(
        16,
        (0.0927152936, 0.208299407, 0.319592483, 0.43765871, 0.564751211, 0.702033085, 0.855417933, 1.03605946, 1.2050694, 1.76874192,
         2.06268337, 2.36458845, 2.72099997, 3.2235538, 4.42157885),
        (0.0822531784, 0.0883010227, 0.0787772344, 0.082617551, 0.0734026461, 0.0695044781, 0.0555206475, 0.0462965417,
         0.00996177059, -0.0292892846, -0.0311102549, -0.0280157143, -0.0214525499, -0.012400119, -0.00116356044),
        none=6.59e-4, tanh=9.23e-4,
    ),
)
# fmt: on


def match(graph: Graph, node: Node) -> Bindings | None:
    return Bindings(node, {"x": node.inputs[0]})


def _rule(form: Form) -> Rewrite:
    def build(b: Builder, found: Bindings) -> str:
        x = found["x"]
        total = b.op("Relu", x)
        minus = b.add(x, b.mul(total, -2.0))
        for knot, weight in zip(form.knots, form.weights, strict=True):
            total = b.add(total, b.mul(b.op("Relu", b.add(minus, knot)), weight))
        return total

    return Rewrite(
        name=f"relu_{form.relus}",
        summary=f"Gelu(x) -> relu(x) + Σ wᵢ·relu(tᵢ - |x|) with {form.relus} relus, error {form.error:g}",
        operators=("Gelu", "com.microsoft::Gelu"),
        emits=("Relu", "Mul", "Add"),
        contract=Contract("bounded", form.error),
        match=match,
        build=build,
    )


RELU = tuple(map(_rule, FORMS))
