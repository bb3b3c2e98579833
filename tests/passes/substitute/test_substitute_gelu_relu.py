"""The piecewise linear forms: errors certified over all reals, kept by the graphs, exact where |x| is large, in fp16 too."""

from __future__ import annotations

import math
from math import pi, sqrt

import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_target
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import GELU, SUBSTITUTE, family
from autoglmc.passes.place.candidates import Candidates, Implementation, Refusal
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Rewrite
from autoglmc.passes.substitute.gelu_relu import FORMS, RELU, Form

STEP = 1e-4
TAIL = 12.0
OWN = np.poly1d([0.044715 * sqrt(2 / pi), 0.0, sqrt(2 / pi), 0.0])


def gelu(x: np.ndarray, mode: str = "none") -> np.ndarray:
    bend = np.vectorize(math.erf)(x / sqrt(2)) if mode == "none" else np.tanh(OWN(x))
    return x / 2 * (1 + bend)


def form_of(form: Form, x: np.ndarray) -> np.ndarray:
    """With coefficients rounded to fp32, everything else in fp64."""
    knots, weights = (np.array(values, np.float32).astype(np.float64) for values in (form.knots, form.weights))
    return np.maximum(x, 0) + sum(w * np.maximum(t - np.abs(x), 0) for t, w in zip(knots, weights, strict=True))


@pytest.mark.parametrize("mode", ["none", "tanh"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.relus)
def test_the_stated_errors_are_certified_and_sharp(form: Form, mode: str) -> None:
    """The error is even in x. Knots are on the grid, so between its points only gelu bends: |gelu''| <= 2/√(2π) (at 0; the tanh form
    stays below 1), and the error exceeds the larger end by at most |gelu''|·step²/8. Beyond TAIL both sides are relu(x) within 1e-20."""
    knots = np.array(form.knots, np.float32).astype(np.float64)
    assert knots.max() < TAIL
    grid = np.union1d(np.arange(0.0, TAIL + STEP, STEP), knots)
    error = np.abs(form_of(form, grid) - gelu(grid, mode))
    stated = form.none if mode == "none" else form.tanh
    assert error.max() + (2 / sqrt(2 * pi) if mode == "none" else 1.0) * STEP**2 / 8 <= stated
    assert error.max() >= 0.995 * stated
    assert np.allclose(form_of(form, -grid) + grid, form_of(form, grid), rtol=0, atol=1e-14)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.relus)
def test_every_knot_and_weight_is_felt_at_zero(form: Form) -> None:
    """At 0 the form is Σ wᵢ·tᵢ and gelu is 0: an error near the supremum, which any of the numbers would move by several percent."""
    at_zero = -float(form_of(form, np.zeros(1))[0])
    assert 0.975 * form.none <= at_zero <= form.none


def gelu_model(mode: str, shape: tuple[int, ...], dtype: str = "float") -> onnx.ModelProto:
    size = ",".join(map(str, shape))
    return infer(parse(f'g ({dtype}[{size}] x) => ({dtype}[{size}] y) {{ y = Gelu<approximate="{mode}">(x) }}', opset=21, ir=10))


def spelled(rule: Rewrite, model: onnx.ModelProto) -> Graph:
    graph = Graph(model)
    assert [decision.taken for decision in apply(graph, [rule])] == [True]
    return graph


def test_the_figures_of_the_usual_spelling_are_beaten() -> None:
    usual = {4: (16, 3.0e-2), 6: (24, 9.2e-3), 9: (36, 6.2e-3), 16: (64, 3.1e-3)}
    for rule, form in zip(RELU, FORMS, strict=True):
        nodes = spelled(rule, gelu_model("none", (4,))).nodes
        operators, error = usual[form.relus]
        assert sum(node.kind == "Relu" for node in nodes) == form.relus and {node.kind for node in nodes} == {"Relu", "Mul", "Add"}
        assert len(nodes) < operators and form.none < error / 1.9


@pytest.mark.parametrize("rule", RELU, ids=lambda rule: rule.name)
@pytest.mark.parametrize("mode", ["none", "tanh"])
def test_the_graph_keeps_the_contract(rule: Rewrite, mode: str) -> None:
    model = gelu_model(mode, (4, 64))
    after = emitted(spelled(rule, gelu_model(mode, (4, 64))))

    @settings(max_examples=15)
    @given(st.integers(0, 999), st.sampled_from([0.1, 1.0, 5.0, 1e3, 1e30]))
    def check(seed: int, scale: float) -> None:
        fed = feeds(model, seed, scale)
        (exact,), (ours,) = run(model, fed), run(after, fed)
        assert np.abs(exact - ours).max() <= rule.contract.absolute + 8 * np.finfo(np.float32).eps * np.abs(fed["x"]).max()
        beyond = np.abs(fed["x"]) > 5
        assert np.array_equal(ours[beyond], np.maximum(fed["x"], 0)[beyond])

    check()


@pytest.mark.parametrize("rule", RELU, ids=lambda rule: rule.name)
def test_every_half_precision_number_has_the_right_value(rule: Rewrite) -> None:
    """All finite fp16 numbers, each operation rounded to fp16: -2·relu(x) overflows beyond 32752 and does no harm."""
    everything = np.arange(65536, dtype=np.uint16).view(np.float16)
    x = everything[np.isfinite(everything)]
    graph = spelled(rule, gelu_model("none", (len(x),), "float16"))
    with np.errstate(over="ignore", under="ignore"):
        (ours,) = onnx.reference.ReferenceEvaluator(emitted(graph)).run(None, {"x": x})
    large = np.abs(x) > 5
    assert np.array_equal(ours[large], np.maximum(x, np.float16(0))[large])
    assert np.abs(ours - gelu(x.astype(np.float64)))[~large].max() <= rule.contract.absolute + 4e-3


def choice(operators: list[str], rule: str, tolerance: float) -> Implementation | Refusal:
    npu = make_device("npu", operators, dtypes=["fp32"], rewrites=[("Gelu", rule, tolerance)])
    target = make_target([npu, make_cpu()], [])
    graph = Graph(gelu_model("none", (4, 64)))
    return Candidates(graph, target, SUBSTITUTE, {rule: family(rule)}).ask(graph.nodes[0], npu)


@pytest.mark.parametrize(
    ("operators", "tolerance", "rule"),
    [
        (["Relu", "Mul", "Add"], 2e-2, "relu_4"),
        (["Relu", "Mul", "Add"], 3e-3, "relu_9"),
        (["Tanh", "Mul", "Add"], 2e-2, "tanh_t1"),
        (["Tanh", "Mul", "Add"], 5e-4, "tanh"),
        (["Tanh", "Mul", "Add"], 5e-5, "tanh_t5"),
        (["Tanh", "Mul", "Add", "Sub", "Relu"], 5e-5, "tanh_t3"),
        (["Tanh", "Mul", "Add", "Sub", "Relu"], 5e-6, "tanh_t5"),
        (["Tanh", "Sigmoid", "Relu", "Mul", "Add"], 5e-4, "sigmoid"),
        (["Tanh", "Sigmoid", "Relu", "Mul", "Add"], 2e-2, "sigmoid_t1"),
    ],
)
def test_the_cheapest_admissible_form_for_what_the_device_has(operators: list[str], tolerance: float, rule: str) -> None:
    chosen = choice(operators, "gelu", tolerance)
    assert isinstance(chosen, Implementation) and chosen.rule == rule
    assert chosen.bound <= tolerance


def test_nothing_within_the_tolerance_is_a_refusal_that_says_so() -> None:
    refused = choice(["Relu", "Mul", "Add"], "relu", 1e-4)
    assert isinstance(refused, Refusal)
    assert "relu_16 has an error of up to 0.000923, above tol 0.0001" in str(refused)


def test_every_form_can_be_named_alone() -> None:
    assert all("Gelu" in family(rule.name)[0].operators for rule in GELU)
    assert family("relu_9") == (RELU[2],)
