"""The error of every GELU form: certified over all reals in float64, and kept by the graphs that the rules write."""

from __future__ import annotations

import math
from math import pi, sqrt

import numpy as np
import onnx
import onnx.reference
import pytest
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import family
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Declined, Rewrite
from autoglmc.passes.substitute.gelu import GELU_ERF, OWN, RELU_TANH, SIGMOID, T1, T2, T3, T5, TANH, Form

TAIL = 12.0
"""Beyond this |x|, gelu(x) and the forms are within 1e-20 of relu(x)."""
STEP = 1e-4
RULES = (*RELU_TANH, *TANH, *SIGMOID, GELU_ERF)


def gelu(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + np.vectorize(math.erf)(x / sqrt(2)))


def derivatives(coefficients: tuple[float, ...]) -> tuple[np.poly1d, np.poly1d, np.poly1d]:
    """p(x) = x·q(x²) and its first two derivatives."""
    powers = [0.0] * (2 * len(coefficients))
    powers[1::2] = coefficients
    p = np.poly1d(powers[::-1])
    return p, p.deriv(), p.deriv(2)


def bound_of(polynomial: np.poly1d, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds on intervals of x >= 0: rising powers with positive coefficients, falling with negative ones."""
    positive = np.poly1d(np.where(polynomial.coeffs > 0, polynomial.coeffs, 0.0))
    negative = np.poly1d(np.where(polynomial.coeffs < 0, polynomial.coeffs, 0.0))
    return positive(low) + negative(high), positive(high) + negative(low)


def curvature(p: np.poly1d, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """An upper bound on |f''| for f = x/2·(1 + tanh p(x)) on the intervals, by interval arithmetic:
    f'' = s·p' + x/2·s·(p'' - 2·tanh(p)·p'²) with s = 1 - tanh² p."""
    value, first, second = (bound_of(d, low, high) for d in (p, p.deriv(), p.deriv(2)))
    sech = 1 - np.tanh(np.maximum(value[0], 0.0)) ** 2
    slope = np.maximum(np.abs(first[0]), np.abs(first[1]))
    bend = np.maximum(np.abs(second[0]), np.abs(second[1]))
    return sech * (slope + high / 2 * (bend + 2 * slope**2))


def pieces(form: Form, coefficients: tuple[float, ...]) -> list[tuple[float, float, np.poly1d]]:
    """(from, to, polynomial in x) of p on [0, TAIL]: the clamp ends one and begins another."""
    if form.clamp is None:
        return [(0.0, TAIL, derivatives(coefficients)[0])]
    square, line = np.poly1d([-1.0, 0.0, form.clamp]), np.poly1d([1.0, 0.0])
    inside = line * sum((c * square**k for k, c in enumerate(coefficients)), np.poly1d([0.0]))
    return [(0.0, sqrt(form.clamp), inside), (sqrt(form.clamp), TAIL, line * coefficients[0])]


def supremum(form: Form, coefficients: tuple[float, ...], own: bool) -> tuple[float, float]:
    """(largest error seen, certified upper bound) over all reals. The error is even in x, so x >= 0 is enough; between grid points
    it exceeds the larger end by at most |error''|·step²/8; beyond TAIL both sides are within 1e-20 of x."""
    seen = certified = 0.0
    for start, end, p in pieces(form, coefficients):
        grid = np.linspace(start, end, int((end - start) / STEP) + 2)
        target = grid / 2 * (1 + np.tanh(derivatives(OWN)[0](grid))) if own else gelu(grid)
        error = np.abs(grid / 2 * (1 + np.tanh(p(grid))) - target)
        low, high = grid[:-1], grid[1:]
        other = curvature(derivatives(OWN)[0], low, high) if own else np.full(len(low), 2 / sqrt(2 * pi))
        between = (curvature(p, low, high) + other) * STEP**2 / 8
        seen = max(seen, float(error.max()))
        certified = max(certified, float((np.maximum(error[:-1], error[1:]) + between).max()))
    shifted = p(np.poly1d([1.0, TAIL]))
    assert (shifted.coeffs >= 0).all() and 2 * p(TAIL) > 20, "p rises beyond the tail, so tanh stays saturated"
    return seen, certified + TAIL * math.exp(-2 * p(TAIL))


@pytest.mark.parametrize("form", [T1, T2, T3, T5], ids=lambda form: form.name)
def test_the_stated_errors_are_certified_and_sharp(form: Form) -> None:
    rounded = tuple(float(np.float32(c)) for c in form.coefficients)
    for stated, own in ((form.none, False), (form.tanh, True)):
        for coefficients in (form.coefficients, rounded):
            if stated is not None:
                seen, certified = supremum(form, coefficients, own)
                assert certified <= stated
                assert seen >= 0.99 * stated


def test_the_tails_vanish() -> None:
    assert TAIL / 2 * math.erfc(TAIL / sqrt(2)) < 1e-20


def test_families_come_cheapest_first_and_get_tighter() -> None:
    for rules in (RELU_TANH, TANH, SIGMOID):
        sizes, bounds = [], []
        for rule in rules:
            if (text := spelled(rule, "none")) is not None:
                sizes.append(len(text.nodes))
                bounds.append(rule.contract.absolute)
        assert sizes == sorted(sizes)
        assert bounds == sorted(bounds, reverse=True)
        assert family(rules[1].name) == rules


def gelu_model(mode: str, shape: tuple[int, ...] = (4, 64), dtype: str = "float") -> onnx.ModelProto:
    size = ",".join(map(str, shape))
    return infer(parse(f'g ({dtype}[{size}] x) => ({dtype}[{size}] y) {{ y = Gelu<approximate="{mode}">(x) }}', opset=21, ir=10))


def spelled(rule: Rewrite, mode: str) -> Graph | None:
    graph = Graph(gelu_model(mode))
    return graph if any(decision.taken for decision in apply(graph, [rule])) else None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("mode", ["none", "tanh"])
def test_the_graph_keeps_the_contract(rule: Rewrite, mode: str) -> None:
    graph = spelled(rule, mode)
    if graph is None:
        untouched = Graph(gelu_model(mode))
        assert isinstance(rule.find(untouched, untouched.nodes[0]), Declined)
        return
    assert {node.kind for node in graph.nodes} <= set(rule.emits)
    model, after = gelu_model(mode), emitted(graph)

    @settings(max_examples=15)
    @given(st.integers(0, 999), st.sampled_from([0.1, 1.0, 5.0, 1000.0]))
    def check(seed: int, scale: float) -> None:
        fed = feeds(model, seed, scale)
        (exact,), (ours,) = run(model, fed), run(after, fed)
        allowance = 8 * np.finfo(np.float32).eps * np.abs(fed["x"]).max()
        assert np.abs(exact - ours).max() <= rule.contract.absolute + allowance
        assert not np.array_equal(ours, run(after, feeds(model, seed + 1, scale))[0])

    check()


@pytest.mark.parametrize("rule", [r for r in RULES if r not in (GELU_ERF,)], ids=lambda rule: rule.name)
def test_every_half_precision_number_has_a_finite_value(rule: Rewrite) -> None:
    """All finite fp16 numbers, each operation rounded to fp16: x² overflows beyond 256, and no infinity meets a zero."""
    everything = np.arange(65536, dtype=np.uint16).view(np.float16)
    x = everything[np.isfinite(everything)]
    mode = "tanh" if rule.name.endswith("of_tanh") else "none"
    graph = Graph(gelu_model(mode, (len(x),), "float16"))
    apply(graph, [rule])
    with np.errstate(over="ignore", under="ignore"):
        (ours,) = onnx.reference.ReferenceEvaluator(emitted(graph)).run(None, {"x": x})
    exact = gelu(x.astype(np.float64))
    assert np.isfinite(ours).all()
    assert np.abs(ours - exact).max() <= 32, "half a unit of the largest fp16 numbers"
    inside = np.abs(x) <= 8
    allowed = max(rule.contract.absolute, 4.8e-4 if mode == "tanh" else 0.0) + 4e-3
    assert np.abs(ours - exact)[inside].max() <= allowed


def test_golden_texts(golden: Golden) -> None:
    """How each form is written, as ONNX text."""
    texts = []
    for rule in RULES:
        graph = spelled(rule, "tanh" if rule.name.endswith("of_tanh") else "none")
        assert graph is not None
        lines = onnx.printer.to_text(emitted(graph)).splitlines()
        constants = lines[lines.index("{") - 1].split(", float[4,64]")[0]
        texts.append("\n".join([f"# {rule.name}: {rule.summary}", constants.strip(" <>"), *lines[lines.index("{") + 1 : -1], ""]))
    text = "\n".join(texts)
    golden("substitute_gelu.txt", text)


def test_other_operators_are_not_touched() -> None:
    graph = Graph(infer(parse("g (float[4] x) => (float[4] y) { y = Erf(x) }", opset=21, ir=10)))
    assert not apply(graph, RULES)
