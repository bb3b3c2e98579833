"""Rules inside bodies of If, Loop and Scan: found there, with captured names kept, and the whole model computing the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_target
from models import model_path
from run_model import run
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.pipeline.table import recover
from autoglmc.compiler.pipeline.work import Work
from autoglmc.compiler.watch.blame import find_faulty_application
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, SIMPLIFY
from autoglmc.passes.place.cut_segments import segment_opset
from autoglmc.passes.rule.bodies import apply_everywhere

GELU = """g (float[2,3] x, bool c) => (float[2,3] y) <float root = {1.4142135}, float one = {1}> {
    h = Tanh(x) only = Neg(h)
    y = If (c) <
        then_branch = then_graph () => (float[2,3] t) <float half = {0.5}> {
            d = Div(h, root) e = Erf(d) s = Add(e, one) p = Mul(h, half) t = Mul(p, s) },
        else_branch = else_graph () => (float[2,3] f) { f = Identity(only) }
    > }"""
LAYER = """g (float[2,3] x, int64 n) => (float[2,3] y) <float small = {1e-5}, int64[1] last = {-1}, bool yes = {1}, float[3] w = {1,2,3}> {
    y = Loop (n, yes, x) <
        body = body_graph (int64 i, bool k, float[2,3] v) => (bool go, float[2,3] z) <float two = {2}> {
            go = Identity(k) m = ReduceMean(v, last) d = Sub(v, m) q = Pow(d, two) a = ReduceMean(q, last) b = Add(a, small) r = Sqrt(b)
            o = Div(d, r) g1 = Mul(o, w) z = Add(g1, x) }
    > }"""
NESTED = """g (float[2,3] x, bool c) => (float[2,3] y) <float root = {1.4142135}, float one = {1}, float half = {0.5}> {
    y = If (c) <
        then_branch = outer_graph () => (float[2,3] t) {
            h = Tanh(x)
            t = If (c) <
                then_branch = inner_graph () => (float[2,3] u) {
                    d = Div(h, root) e = Erf(d) s = Add(e, one) p = Mul(h, half) u = Mul(p, s) },
                else_branch = rest_graph () => (float[2,3] w) { w = Neg(h) }
            > },
        else_branch = else_graph () => (float[2,3] f) { f = Relu(x) }
    > }"""


def load(text: str) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(parse(text, opset=21, ir=10), data_prop=True)


def rewritten(text: str) -> Graph:
    graph = Graph(load(text))
    apply_everywhere(graph, RECOVER)
    apply_everywhere(graph, SIMPLIFY)
    return graph


def bodies(graph: Graph) -> dict[str, list[str]]:
    """Operators by the body's name, nested ones too."""
    found: dict[str, list[str]] = {}
    queue = [body for node in graph.nodes for body in node.bodies()]
    for body in queue:
        found[body.name] = [node.op_type for node in body.node]
        queue += [attribute.g for node in body.node for attribute in node.attribute if attribute.HasField("g")]
    return found


def model_of(graph: Graph) -> onnx.ModelProto:
    model = graph.to_model()
    model.opset_import[0].version = segment_opset(graph, graph.nodes)
    onnx.checker.check_model(model, full_check=True)
    return model


@settings(max_examples=10)
@given(st.integers(0, 999), st.booleans())
def test_a_gelu_in_a_branch_is_recovered(seed: int, condition: bool) -> None:
    graph = rewritten(GELU)
    assert bodies(graph) == {"then_graph": ["Gelu"], "else_graph": ["Identity"]}
    x = np.random.default_rng(seed).standard_normal((2, 3)).astype(np.float32)
    fed, model = {"x": x, "c": np.array(condition)}, model_of(graph)
    (before,), (after,), (other,) = run(load(GELU), fed), run(model, fed), run(model, {**fed, "x": x + 1})
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(after, other)


def test_what_only_a_body_reads_is_still_used_and_keeps_its_name() -> None:
    """Tanh writes h for one branch, Neg `only` for the other; the constants of the formula are no longer read."""
    graph = rewritten(GELU)
    assert [(node.operator, node.outputs[0]) for node in graph.nodes] == [("Tanh", "h"), ("Neg", "only"), ("If", "y")]
    assert set(graph.nodes[-1].captures) == {"h", "only"}
    model = model_of(graph)
    assert not model.graph.initializer
    assert not [tensor.name for node in model.graph.node for attribute in node.attribute for tensor in attribute.g.initializer]


@settings(max_examples=10)
@given(st.integers(0, 999), st.integers(1, 3))
def test_a_layer_normalisation_in_a_loop_is_recovered(seed: int, times: int) -> None:
    graph = rewritten(LAYER)
    assert bodies(graph) == {"body_graph": ["Identity", "LayerNormalization", "Add"]}
    assert set(graph.nodes[-1].captures) == {"w", "x"}, "the weights stay outside"
    fed = {"x": np.random.default_rng(seed).standard_normal((2, 3)).astype(np.float32) * 3, "n": np.array(times)}
    np.testing.assert_allclose(run(model_of(graph), fed)[0], run(load(LAYER), fed)[0], rtol=1e-3, atol=1e-3)


def test_bodies_inside_bodies() -> None:
    graph = rewritten(NESTED)
    assert bodies(graph) == {"outer_graph": ["Tanh", "If"], "else_graph": ["Relu"], "inner_graph": ["Gelu"], "rest_graph": ["Neg"]}
    for condition in (True, False):
        fed = {"x": np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3), "c": np.array(condition)}
        np.testing.assert_allclose(run(model_of(graph), fed)[0], run(load(NESTED), fed)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("=> (float[2,3] t) <", "=> (float[2,3] t, float[2,3] s) <"),
        ("e = Erf(d)", "e = Erf(h)"),
    ],
)
def test_what_is_no_gelu_or_is_needed_stays(old: str, new: str) -> None:
    """An interior tensor that the branch gives out, and another formula."""
    text = GELU.replace(old, new)
    if "s)" in new:
        text = text.replace("(float[2,3] y)", "(float[2,3] y, float[2,3] y2)").replace("y = If", "y, y2 = If")
        text = text.replace("(float[2,3] f) { f = Identity(only) }", "(float[2,3] f, float[2,3] f2) { f = Identity(only) f2 = Neg(only) }")
    found = bodies(rewritten(text))["then_graph"]
    assert "Erf" in found and ("Gelu" in found) == ("s)" in new)


def test_the_same_names_in_two_branches_and_a_rule_on_both() -> None:
    """Each branch has its own d, e, s; new names are new in all graphs."""
    branch = "d = Div(h, root) e = Erf(d) s = Add(e, one) p = Mul(h, s) "
    text = f"""g (float[2,3] x, bool c) => (float[2,3] y) <float root = {{1.4142135}}, float one = {{1}}, float half = {{0.5}}> {{
        h = Tanh(x)
        y = If (c) < then_branch = a () => (float[2,3] t) {{ {branch} q = Mul(p, half) t = Neg(q) }},
                     else_branch = b () => (float[2,3] t2) {{ {branch} t2 = Mul(p, half) }} > }}"""
    graph = rewritten(text)
    assert bodies(graph) == {"a": ["Gelu", "Neg"], "b": ["Gelu"]}
    for condition in (True, False):
        fed = {"x": np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3), "c": np.array(condition)}
        np.testing.assert_allclose(run(model_of(graph), fed)[0], run(load(text), fed)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", [GELU, LAYER, NESTED])
def test_the_compiled_model_is_verified(text: str, tmp_path: Path) -> None:
    result = compile_model(save(load(text), tmp_path), make_target([make_cpu()], []), output=tmp_path / "out", verify=True)
    assert not isinstance(result.verification, str) and result.verification.verified
    assert result.work.decisions and any(decision.taken for decision in result.work.decisions)


def test_a_body_that_is_copied_is_not_edited() -> None:
    graph = Graph(load(GELU))
    twin, _ = graph.copy()
    apply_everywhere(graph, RECOVER)
    assert bodies(twin)["then_graph"] == ["Div", "Erf", "Add", "Mul", "Mul"]


def test_the_application_at_fault_is_found_in_a_body() -> None:
    """Bisection counts applications inside bodies too, and names the tensor there."""
    start = Work(Graph(load(GELU)), make_target([make_cpu()], []), (), {}, 1.0, {})
    culprit = find_faulty_application(
        start, recover, lambda model, work: "a Gelu" if any("Gelu" in kinds for kinds in bodies(work.graph).values()) else ""
    )
    assert culprit is not None
    assert (culprit.rule, culprit.tensor, culprit.number, culprit.of) == ("recover_gelu", "t", 1, 1)


def test_the_branches_of_silero_are_rewritten_and_agree() -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(model_path("silero_vad_16k_op15")))
    before = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model)
    decisions = apply_everywhere(graph, SIMPLIFY)
    inner = {name for kinds in bodies(graph).values() for name in kinds}
    assert inner and any(decision.taken for decision in decisions)
    rng = np.random.default_rng(1)
    fed = {"input": rng.standard_normal((1, 576)).astype(np.float32) / 9, "sr": np.array(16000)}
    fed["state"] = rng.standard_normal((2, 1, 128)).astype(np.float32)
    fed = {value.name: fed[value.name] for value in before.graph.input}
    for old, new in zip(run(before, fed), run(graph.to_model(), fed), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)
