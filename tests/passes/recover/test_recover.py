"""Every recovering rule: what exporters write is found, a near miss is left alone. Any spelling at all: test_every_rule.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from counted import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, feeds, infer, run
from small_models import parse
from spellings.formula import spell
from spellings.sketch import Sketch

from autoglmc.passes.formula.pattern import Formula
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, named
from autoglmc.passes.recover.gelu import CUBIC
from autoglmc.passes.recover.gelu import x as any_x
from autoglmc.passes.rule.apply import apply

BECOMES = {
    "recover_layernorm": "LayerNormalization",
    "recover_rmsnorm": "RMSNormalization",
    "recover_gelu": "Gelu",
    "recover_gelu_tanh": "Gelu",
    "recover_swish": "Swish",
    "recover_hardswish": "HardSwish",
    "recover_hardsigmoid": "HardSigmoid",
    "recover_hardsigmoid_fifth": "HardSigmoid",
    "recover_instancenorm": "InstanceNormalization",
    "recover_lpnorm": "LpNormalization",
    "recover_mish": "Mish",
    "recover_softplus": "Softplus",
    "recover_softmax": "Softmax",
    "recover_shifted_softmax": "Softmax",
    "recover_logsoftmax": "LogSoftmax",
    "recover_prelu": "PRelu",
    "recover_leakyrelu": "LeakyRelu",
    "recover_groupnorm": "GroupNormalization",
    "recover_contrib_gelu": "Gelu",
    "recover_quickgelu": "Swish",
    "recover_skip_layernorm": "LayerNormalization",
    "recover_skip_rmsnorm": "RMSNormalization",
    "recover_focus": "SpaceToDepth",
    "recover_space_to_depth": "SpaceToDepth",
    "recover_depth_to_space": "DepthToSpace",
}


def test_every_recovering_rule_is_tested_here() -> None:
    assert set(BECOMES) == {rule.name for rule in RECOVER}


@st.composite
def spelled(draw: st.DrawFn, wanted: Formula) -> onnx.ModelProto:
    """A model that computes the formula."""
    sketch = Sketch(draw, "float32", 21, static=True)
    return sketch.model([sketch.op("Identity", spell(sketch, (wanted,), "last"))])


def near_misses() -> list[tuple[str, Formula]]:
    from autoglmc.passes.formula.pattern import call, clip, erf, mean, sigmoid, tanh

    x = any_x
    root = (mean(x**2) + 1e-5) ** -0.5
    centred = (x - mean(x)) * (mean((x - mean(x)) ** 2) + 1e-5) ** -0.5
    return [
        ("gelu_without_half", x * (1 + erf(x * 0.5**0.5))),
        ("gelu_minus", 0.5 * x * (1 - erf(x * 0.5**0.5))),
        ("gelu_wrong_root", 0.5 * x * (1 + erf(x * 0.7))),
        ("gelu_of_square", 0.5 * x**2 * (1 + erf(x * 0.5**0.5))),
        ("tanh_wrong_cubic", 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.0447 * x**3)))),
        ("tanh_square", 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x**2)))),
        ("sigmoid_half_cubic", x * sigmoid(CUBIC)),
        ("sigmoid_shifted", x * sigmoid(x + 0.1)),
        ("square_sigmoid", x**2 * sigmoid(x)),
        ("hardswish_wide", x * clip(x / 6 + 0.5, 0, 1.1)),
        ("hardsigmoid_wide", clip(x / 6 + 0.5, 0, 1.01)),
        ("hardsigmoid_fifth_wide", clip(x / 5 + 0.5, 0, 1.01)),
        ("hardswish_offset", x * clip(x / 6 + 0.4, 0, 1)),
        ("hardswish_slope", x * clip(x / 5 + 0.4, 0, 1)),
        ("softplus_two", call("Log", 2 + call("Exp", x))),
        ("softplus_double", call("Log", 1 + 2 * call("Exp", x))),
        ("mish_sigmoid", x * tanh(sigmoid(x))),
        ("mish_scaled", x * tanh(call("Softplus", 1.01 * x))),
        ("unit_epsilon", x * (mean(x**2) ** 2) ** -0.5),
        ("plain_clip", clip(x, 0, 1)),
        ("relu6", clip(x, 0, 6)),
        ("rms_plus_x", x * root + x),
        ("layer_double_mean", (x - 2 * mean(x)) * (mean((x - mean(x)) ** 2) + 1e-5) ** -0.5),
        ("layer_plus_x", centred + x),
        ("layer_other_moment", (x - mean(x)) * (mean((x - mean(x)) ** 4) + 1e-5) ** -0.5),
    ]


@pytest.mark.parametrize(("name", "formula"), near_misses(), ids=lambda value: value if isinstance(value, str) else "")
def test_near_misses_are_left_alone(name: str, formula: Formula) -> None:
    """No node of the whole formula's value may be replaced; parts of it may be recovered where they are what they seem."""

    @settings(max_examples=8)
    @given(spelled(formula), st.integers(0, 99))
    def check(model: onnx.ModelProto, seed: int) -> None:
        graph = Graph(infer(model))
        decisions = apply(graph, RECOVER)
        if not name.startswith(("layer_plus", "rms_plus", "hardswish", "layer_double")):
            assert not any(decision.taken for decision in decisions), onnx.printer.to_text(model)
        fed = feeds(model, seed)
        (before,), (after,) = run(model, fed), run(emitted(graph), fed)
        assert np.abs(after - before).max() <= 2e-4 * max(1.0, np.abs(before).max())

    check()


def recovered(text: str, opset: int = 21) -> tuple[onnx.ModelProto, Graph]:
    model = infer(parse(text, opset=opset, ir=10))
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(copy)
    apply(graph, RECOVER)
    return model, graph


def kinds(graph: Graph) -> list[str]:
    return [node.operator for node in graph.nodes]


BY_HAND = {
    "Gelu": """q = Mul(x, x) c = Mul(q, x) d = Mul(c, cube) s = Add(x, d) p = Mul(s, root) t = Tanh(p) o = Add(t, one) h = Mul(x, half)
        y = Mul(h, o)""",
    "HardSigmoid": "a = Mul(x, fifth) s = Add(a, half) y = Clip(s, zero, one)",
    "HardSwish": "s = Add(x, three) c = Clip(s, zero, six) d = Div(c, six) y = Mul(x, d)",
    "RMSNormalization": """q = Pow(x, two) m = ReduceMean(q, last) s = Add(m, small) r = Sqrt(s) d = Div(x, r) y = Mul(d, w)""",
    "LayerNormalization": """m = ReduceMean(x, last) d = Sub(x, m) q = Pow(d, two) v = ReduceMean(q, last) s = Add(v, small) r = Sqrt(s)
        n = Div(d, r) g = Mul(n, w) y = Add(g, w)""",
    "LpNormalization": "q = Pow(x, two) s = ReduceSum(q, last) r = Sqrt(s) y = Div(x, r)",
}
NUMBERS = """float cube = {0.044715}, float root = {0.7978845608}, float one = {1}, float half = {0.5}, float zero = {0}, float three = {3},
    float six = {6}, float two = {2}, float small = {1e-5}, float fifth = {0.2}, int64[1] last = {-1}, float[3] w = {1,2,3}"""


@pytest.mark.parametrize(("kind", "body"), BY_HAND.items())
def test_what_an_exporter_writes_is_recovered(kind: str, body: str) -> None:
    """Not spelled from the rule's own formula."""
    model, graph = recovered(f"g (float[2,3] x) => (float[2,3] y) <{NUMBERS}> {{ {body} }}")
    assert kinds(graph) == [kind]
    fed = feeds(model, 2)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-4, atol=1e-5)


LOG_SOFTMAX = {
    "g (float[2,5] x) => (float[2,5] y) { s = Softmax(x) y = Log(s) }": True,
    "g (float[2,5] x) => (float[2,5] y, float[2,5] s) { s = Softmax<axis=0>(x) y = Log(s) }": True,
    "g (float[2,5] x) => (float[2,5] y) { s = Sigmoid(x) y = Log(s) }": False,
    "g (float[2,5] x) => (float[2,5] y) { s = Softmax(x) y = Exp(s) }": False,
}


@pytest.mark.parametrize(("text", "there"), LOG_SOFTMAX.items())
def test_the_logarithm_of_a_softmax(text: str, there: bool) -> None:
    model, graph = recovered(text)
    assert ("LogSoftmax" in kinds(graph)) == there
    fed = feeds(model, 2)
    for before, after in zip(run(model, fed), run(emitted(graph), fed), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


SOFTMAX = {
    "e = Exp(x) s = ReduceSum<keepdims=1>(e, last) y = Div(e, s)": ["Softmax"],
    "m = ReduceMax(x, last) d = Sub(x, m) e = Exp(d) s = ReduceSum<keepdims=1>(e, last) y = Div(e, s)": ["Softmax"],
    "m = ReduceMax(x, last) d = Sub(x, m) y = Softmax<axis=1>(d)": ["Softmax"],
    "m = ReduceMax(x, first) d = Sub(x, m) y = Softmax(d)": ["ReduceMax", "Softmax", "Sub"],
    "m = ReduceMax(x, last) d = Sub(m, x) y = Softmax(d)": ["ReduceMax", "Softmax", "Sub"],
    "e = Exp(x) s = ReduceSum(e, both) y = Div(e, s)": ["Div", "Exp", "ReduceSum"],
    "e = Exp(x) s = ReduceSum<keepdims=1>(x, last) y = Div(e, s)": ["Div", "Exp", "ReduceSum"],
    "e = Exp(x) s = ReduceSum<keepdims=1>(e, last) y = Div(s, e)": ["Div", "Exp", "ReduceSum"],
}


@pytest.mark.parametrize(("body", "there"), SOFTMAX.items())
def test_a_softmax_that_is_written_out(body: str, there: list[str]) -> None:
    model, graph = recovered(
        f"g (float[2,5] x) => (float[2,5] y) <int64[1] last = {{-1}}, int64[1] first = {{0}}, int64[2] both = {{0, 1}}> {{ {body} }}"
    )
    assert sorted(kinds(graph)) == there
    fed = feeds(model, 2)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-5, atol=1e-6)


GROUPS = """g (float[2,6,3,2] x) => (float[2,6,3,2] y) <int64[3] s = {0,2,-1}, int64[4] t = {2,6,3,2},
    float[2] one = {1,1}, float[2] zero = {0,0}, float[6,1,1] w = {1,2,3,4,5,6}, float[6,1,1] b = {6,5,4,3,2,1}> {
    r = Reshape(x, s) n = InstanceNormalization<epsilon=0.001>(r, one, zero) h = Reshape(n, t) p = Mul(w, h) y = Add(p, b) }"""


def test_group_normalisation() -> None:
    model, graph = recovered(GROUPS, 21)
    assert kinds(graph) == ["GroupNormalization"]
    fed = feeds(model, 2)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one = {1,1}", "one = {1,1.01}"),
        ("zero = {0,0}", "zero = {0,0.01}"),
        ("{0,2,-1}", "{-1,2,9}"),
        ("float[6,1,1] w = {1,2,3,4,5,6}", "float[3,2] w = {1,2,3,4,5,6}"),
        ("(float[2,6,3,2] y)", "(float[2,6,3,2] y, float[2,6,3,2] h)"),
    ],
)
def test_what_only_resembles_group_normalisation_is_left_alone(old: str, new: str) -> None:
    assert "GroupNormalization" not in kinds(recovered(GROUPS.replace(old, new))[1])


CONTRIB = {
    "y = com.microsoft.Gelu(x)": (["Gelu"], "none"),
    "y = com.microsoft.BiasGelu(x, b)": (["Add", "Gelu"], "none"),
    "y = com.microsoft.FastGelu(x)": (["Gelu"], "tanh"),
    "y = com.microsoft.FastGelu(x, b)": (["Add", "Gelu"], "tanh"),
    "y = com.microsoft.QuickGelu(x)": (["Swish"], 1.702),
    "y = com.microsoft.QuickGelu<alpha=1.5>(x)": (["Swish"], 1.5),
    "y = com.microsoft.SkipLayerNormalization(x, x, b)": (["Add", "LayerNormalization"], 1e-12),
    "y = com.microsoft.SkipLayerNormalization<epsilon=0.5>(x, x, b, b, b)": (["Add", "Add", "LayerNormalization"], 0.5),
    "y = com.microsoft.SkipSimplifiedLayerNormalization(x, x, b)": (["Add", "RMSNormalization"], 1e-12),
    "y = com.microsoft.SkipSimplifiedLayerNormalization<epsilon=0.5>(x, x, b, b)": (["Add", "Add", "RMSNormalization"], 0.5),
}
NUMBER = {"Gelu": "approximate", "Swish": "alpha", "LayerNormalization": "epsilon", "RMSNormalization": "epsilon"}


@pytest.mark.parametrize(("body", "expected"), CONTRIB.items())
def test_what_onnxruntime_fused_gets_its_standard_form(body: str, expected: tuple[list[str], object]) -> None:
    text = f"g (float[2,3] x) => (float[2,3] y) <float[3] b = {{1,2,-3}}> {{ {body} }}"
    model = parse(text, opset=21, ir=10, **{"com.microsoft": 1})
    graph = Graph(parse(text, opset=21, ir=10, **{"com.microsoft": 1}))
    apply(graph, RECOVER)
    assert kinds(graph) == expected[0]
    last = graph.nodes[-1]
    number = graph.attribute(last, NUMBER[last.operator])
    assert number == expected[1] or (isinstance(number, float) and number == float(np.float32(expected[1])))
    fed = feeds(model, 2)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("y, m, v = com.microsoft.SkipLayerNormalization(x, x, b)", "float[2,1] m"),
        ("y = com.microsoft.SkipLayerNormalization(z, x, b)", "float[2,3] w"),
    ],
)
def test_a_skip_normalisation_with_statistics_or_a_wider_sum_is_left_alone(body: str, named: str) -> None:
    more = "w = Identity(x)" if named.endswith("w") else ""
    text = f"g (float[2,3] x, float[1,3] z) => (float[2,3] y, {named}) <float[3] b = {{1,2,-3}}> {{ {body} {more} }}"
    graph = Graph(parse(text, opset=21, ir=10, **{"com.microsoft": 1}))
    apply(graph, RECOVER)
    assert "SkipLayerNormalization" in {node.operator for node in graph.nodes}


AXIS = "int64[1] a = {-1}"


@pytest.mark.parametrize(
    "text",
    [
        f"g (float[2,3] x) => (float[2,3] y) <{AXIS}, float e = {{1e-6}}> {{ n = ReduceL2<keepdims=1>(x, a) c = Max(n, e) y = Div(x, c) }}",
        "g (float[2,3,2] x) => (float[2,3,2] y) <int64[2] b = {1,2}> { n = ReduceL2<keepdims=1>(x, b) y = Div(x, n) }",
        f"g (float[2,3] x) => (float[2,3] y) <{AXIS}> {{ q = Mul(x, x) n = ReduceMean<keepdims=1>(q, a) r = Sqrt(n) y = Div(x, r) }}",
        "g (double[2,3] x) => (double[2,3] y) <double one = {1}> { e = Exp(x) s = Sum(e, one) y = Log(s) }",
        "g (float[2] x) => (float[3,2] y) <float[3,1] s = {1,2,3}> { p = Relu(x) m = Neg(x) n = Relu(m) q = Mul(n, s) y = Sub(p, q) }",
    ],
)
def test_what_only_resembles_a_formula_is_left_alone(text: str) -> None:
    assert kinds(recovered(text)[1]) == [node.op_type for node in parse(text, opset=21, ir=10).graph.node]


GELU_SHARED = """g (float[2,3] x) => (float[2,3] y, float[2,3] e) <float half = {0.5}, float one = {1}, float root = {1.4142135}> {
    d = Div(x, root) e = Erf(d) s = Add(e, one) h = Mul(x, half) y = Mul(h, s) }"""


def test_an_interior_tensor_that_is_an_output_stays() -> None:
    model, graph = recovered(GELU_SHARED)
    assert sorted(kinds(graph)) == ["Div", "Erf", "Gelu"]
    fed = feeds(model, 1)
    for before, after in zip(run(model, fed), run(emitted(graph), fed), strict=True):
        assert np.abs(before - after).max() < 1e-5


LAYER_MIDDLE = """g (float[2,5,3] x) => (float[2,5,3] y) <int64[1] axis = {1}, int64[3] kept = {2,1,3}, float n = {0.2}, float zero = {0},
    float eps = {0.00001}, float[1,5,1] w = {1,2,3,4,5}, float[1,5,1] b = {5,4,3,2,1}> {
    s = ReduceSum<keepdims=0>(x, axis) m = Mul(s, n) q = Mul(x, x) t = ReduceSum<keepdims=0>(q, axis) e = Mul(t, n) mm = Mul(m, m)
    v0 = Sub(e, mm) v1 = Max(zero, v0) v2 = Reshape(v1, kept) v = Expand(v2, kept) ve = Add(v, eps) r0 = Sqrt(ve) r = Reciprocal(r0)
    k = Reshape(m, kept) c = Sub(x, k) rw = Mul(r, w) z = Mul(c, rw) y = Add(z, b) }"""


def test_a_normalised_axis_in_the_middle_is_brought_to_the_end_and_back() -> None:
    model, graph = recovered(LAYER_MIDDLE)
    assert kinds(graph) == ["Transpose", "LayerNormalization", "Transpose"]
    fed = feeds(model, 3)
    (before,), (after,) = run(model, fed), run(emitted(graph), fed)
    assert np.abs(before - after).max() < 1e-4


MEAN_OF_ROWS = """g (float[3,3] x) => (float[3,3] y) <int64[1] axis = {-1}, float eps = {0.00001}> {
    m = ReduceMean<keepdims=0>(x, axis) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<keepdims=1>(q, axis) e = Add(v, eps) s = Sqrt(e)
    y = Div(d, s) }"""


def test_a_dropped_axis_that_broadcasts_the_wrong_way_is_not_layer_normalisation() -> None:
    model, graph = recovered(MEAN_OF_ROWS)
    assert "LayerNormalization" not in kinds(graph)
    fed = feeds(model, 3)
    assert np.abs(run(model, fed)[0] - run(emitted(graph), fed)[0]).max() < 1e-4


WIDENED = """g (float[3] x) => (float[2,3] y) <float[2,1] half = {0.5,0.5}, float one = {1}, float root = {1.4142135}> {
    d = Div(x, root) e = Erf(d) s = Add(e, one) h = Mul(x, half) y = Mul(h, s) }"""


def test_a_constant_that_broadcasts_x_is_not_taken_for_a_number() -> None:
    assert "Gelu" not in kinds(recovered(WIDENED)[1])


@pytest.mark.parametrize(("off", "there"), [(0.0, True), (9.9e-6, True), (-9.9e-6, True), (1.005e-5, False), (-1.005e-5, False)])
def test_how_near_a_mean_must_be_to_a_sum(off: float, there: bool) -> None:
    """x / √(Σx²) from a mean of four squares: times 1/2, within 1e-5 of it."""
    text = """g (float[2,4] x) => (float[2,4] y) <int64[1] a = {-1}, float h = {0.5}> {
        q = Mul(x, x) m = ReduceMean<keepdims=1>(q, a) r = Sqrt(m) d = Div(x, r) y = Mul(d, h) }"""
    model = infer(parse(text, opset=21, ir=10))
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.float32(0.5 * (1 + off)), "h"))
    graph = Graph(model)
    assert any(decision.taken for decision in apply(graph, RECOVER)) == there


def test_an_old_opset_is_declined_with_a_reason() -> None:
    model = infer(parse(GELU_SHARED, opset=13))
    declined = [decision for decision in apply(Graph(model), RECOVER) if decision.rule == "recover_gelu"]
    assert [decision.taken for decision in declined] == [False]
    assert "opset 20" in declined[0].reason


def test_a_scale_as_large_as_a_disk_is_not_made() -> None:
    wide = 1 << 40
    text = f"""g (float[1,{wide}] x) => (float[1,{wide}] y) <float e = {{0.00001}}> {{
        m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes=[-1]>(q) w = Add(v, e) s = Sqrt(w) y = Div(d, s)
    }}"""
    declined = [decision for decision in apply(Graph(infer(parse(text, opset=17))), RECOVER) if decision.rule == "recover_layernorm"]
    assert [decision.taken for decision in declined] == [False]
    assert "as much memory as the tensor" in declined[0].reason


@pytest.mark.parametrize("step", ["Add(t{0}, x)", "Mul(t{0}, t{0})", "Sub(t{0}, t{0})", "Erf(t{0})", "Sum(t{0}, t{0}, x)", "Relu(t{0})"])
def test_long_chains_are_bounded_work(step: str) -> None:
    """2,000 nodes that formulas could contain, in a row: every site is looked at only so far."""
    body = " ".join(f"t{k + 1} = {step.format(k)}" for k in range(2000))
    model = parse(f"g (float[2] x) => (float[2] t2000) {{ t0 = Tanh(x) {body} }}", opset=21, ir=10)
    graph = Graph(model)
    with at_most(15_000_000):
        assert not apply(graph, RECOVER)


UNEVEN = """g (float[2,7] x) => (float[2,7] y) <int64[1] axis = {1}, float n = {0.14285715}, float eps = {0.00001},
    float[7] w = {1,2,3,4,5,6,7}> {
    s = ReduceSum(x, axis) m = Mul(s, n) d = Sub(x, m) q = Mul(d, d) t = ReduceSum(q, axis) v = Mul(t, n) e = Add(v, eps) r = Sqrt(e)
    i = Reciprocal(r) a = Mul(x, i) b = Mul(m, i) c = Sub(a, b) y = Mul(c, w) }"""
SCRIPT = """
import hashlib, sys
sys.path[:0] = sys.argv[1:2]
from run_model import infer
from small_models import parse
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, named
from autoglmc.passes.rule.apply import apply
graph = Graph(infer(parse(sys.argv[2], opset=21, ir=10)))
assert any(decision.taken for decision in apply(graph, RECOVER))
print(hashlib.sha256(graph.to_model().SerializeToString(deterministic=True)).hexdigest())
"""


def test_the_result_does_not_depend_on_the_order_of_hashes() -> None:
    """1/7 in fp32 makes two coefficients of the formula differ in the last digits: the same one must be read off in every run."""
    tests, digests = str(Path(__file__).parents[2]), set()
    for seed in ("1", "2", "3"):
        command = [sys.executable, "-c", SCRIPT, tests, UNEVEN]
        done = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize(("kind", "epsilon", "there"), [("float16", 1e-12, True), ("float", 0.0, True), ("float", 1e-12, True)])
def test_an_epsilon_that_fp16_cannot_hold_hides_no_layernorm(kind: str, epsilon: float, there: bool) -> None:
    """1e-12 is 0 there. Where the variance is 0, too, the spelling gives NaN, and so does the operator."""
    dtype = np.float16 if kind == "float16" else np.float32
    model = parse(
        f"g ({kind}[2,3,8] x) => ({kind}[2,3,8] y) {{ m = ReduceMean<axes=[-1]>(x) d = Sub(x, m) p = Pow(d, two) "
        "v = ReduceMean<axes=[-1]>(p) s = Add(v, eps) r = Sqrt(s) y = Div(d, r) }",
        opset=17,
    )
    for name, number in (("two", 2.0), ("eps", epsilon)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(number, dtype), name))
    model = infer(model)
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    apply(graph, [named("recover_layernorm")])
    assert any(node.operator == "LayerNormalization" for node in graph.nodes) == there
    x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(dtype)
    x[0, 0] = 0
    before, after = run(model, {"x": x})[0], run(emitted(graph), {"x": x})[0]
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
    np.testing.assert_allclose(after, before, rtol=1e-2, atol=1e-2)
