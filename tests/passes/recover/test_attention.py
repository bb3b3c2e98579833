"""Attention and rotary embeddings: found however they are written, and taken apart for devices that lack them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import pytest
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from models import SHAPES, model_path
from operator_cases import collect
from run_model import emitted, feeds, infer, run
from small_models import parse
from spellings.attention import attention, rotary, rotary_halves
from spellings.sketch import Sketch

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import FUSED_FOR_ORT, OFFER, RECOVER, SIMPLIFY, named
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Decision, Replacement, Rewrite

CLOSE = {"float32": 2e-5, "float16": 2e-2}


@st.composite
def models(draw: st.DrawFn, spell: Callable[[Sketch], str]) -> tuple[onnx.ModelProto, str]:
    sketch = Sketch(draw, draw(st.sampled_from(sorted(CLOSE))), draw(st.sampled_from((18, 23))))
    root = spell(sketch)
    return sketch.model([root]), sketch.dtype


@pytest.mark.parametrize(
    ("spell", "kind", "gone"),
    [
        (attention, "Attention", {"Softmax", "MatMul", "Tile", "Tanh"}),
        (rotary, "RotaryEmbedding", {"Add", "Concat", "Split"}),
        (rotary_halves, "RotaryEmbedding", {"Add", "Sub", "Concat"}),
    ],
)
def test_any_spelling_is_one_operator_of_the_same_value(spell: Callable[[Sketch], str], kind: str, gone: set[str]) -> None:
    @settings(max_examples=60)
    @given(models(spell), st.integers(0, 99))
    def check(drawn: tuple[onnx.ModelProto, str], seed: int) -> None:
        model, dtype = drawn
        graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
        apply(graph, OFFER)
        kinds = [node.operator for node in graph.nodes]
        assert kinds.count(kind) == 1, onnx.printer.to_text(model)
        if kind == "Attention":
            assert kinds.count("Softmax") == kinds.count("MatMul") == 0
        elif any(node.op_type in ("Cos", "Sin") for node in model.graph.node):
            assert not gone - {"Concat"} & set(kinds)
        else:
            assert not gone & set(kinds)
        fed, other = feeds(model, seed), feeds(model, seed + 1)
        (before,), (after,), (moved,) = run(model, fed), run(emitted(graph), fed), run(emitted(graph), other)
        assert np.abs(after.astype(float) - before).max() <= CLOSE[dtype] * max(1.0, np.abs(before).max())
        assert not np.array_equal(after, moved), "the output must depend on the input"

    check()


SDPA = """g (float[2,4,5,8] q, float[2,4,7,8] k, float[2,4,7,6] v, float[5,7] m) => (float[2,4,5,6] y) <float c = {0.35}, bool[1,7] b =
    {1,0,1,1,0,1,1}, float big = {-1e9}, float few = {-5}, float[3,1,1,1,1] wide = {1,2,3}> {
    t = Transpose<perm=[0,1,3,2]>(k) a = MatMul(q, t) s = Mul(a, c) e = Add(s, m) p = Softmax<axis=-1>(e) y = MatMul(p, v) }"""
ROTARY = """g (float[2,3,4,6] x) => (float[2,3,4,6] y) <int64[1] zero = {0}, int64[1] three = {3}, int64[1] six = {6}, int64[1] last = {3},
    float[1,1,4,6] s = {1,2,3,1,2,3, 4,5,6,4,5,6, 7,8,9,7,8,9, 3,2,1,3,2,1}> {
    a = Slice(x, zero, three, last) b = Slice(x, three, six, last) n = Neg(b) r = Concat<axis=-1>(n, a)
    p = Mul(x, s) q = Mul(r, s) y = Add(p, q) }"""


def recovered(text: str, rules: tuple[Rewrite, ...] = OFFER) -> tuple[onnx.ModelProto, Graph, tuple[Decision, ...]]:
    model = infer(parse(text, opset=21, ir=10))
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    decisions = apply(graph, rules)
    return model, graph, decisions


def kinds(graph: Graph) -> list[str]:
    return [node.operator for node in graph.nodes]


@pytest.mark.parametrize(("text", "kind"), [(SDPA, "Attention"), (ROTARY, "RotaryEmbedding")])
def test_what_the_near_misses_are_near_to_is_found(text: str, kind: str) -> None:
    model, graph, _ = recovered(text)
    assert kind in kinds(graph)
    fed = feeds(model, 1)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Softmax<axis=-1>", "Softmax<axis=2>"),
        ("(float[2,4,5,6] y)", "(float[2,4,5,6] y, float[2,4,5,7] p)"),
        ("(float[2,4,5,6] y)", "(float[2,4,5,6] y, float[2,4,5,7] s)"),
        ("e = Add(s, m)", "f = Add(a, m) e = Mul(f, c)"),
        ("float c = {0.35}", "float c = {-0.35}"),
        ("e = Add(s, m)", "e = Where(b, s, few)"),
        ("e = Add(s, m)", "n = Abs(s) e = Add(n, m)"),
        ("e = Add(s, m)", "e = Mul(s, m)"),
        ("p = Softmax", "l = Exp(e) p = Softmax<axis=2>(l) u = Softmax"),
    ],
)
def test_what_only_resembles_attention_is_left_alone(old: str, new: str) -> None:
    assert old in SDPA
    assert "Attention" not in kinds(recovered(SDPA.replace(old, new))[1])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n = Neg(b)", "n = Abs(b)"),
        ("(n, a)", "(a, n)"),
        ("three, six, last", "zero, three, last"),
        ("4,5,6,4,5,6", "4,5,6,4,5,7"),
        ("s) y = Add", "s) y = Sub"),
        ("float[2,3,4,6] y)", "float[2,3,4,6] y, float[2,3,4,6] r)"),
        ("p = Mul(x, s)", "z = Tanh(x) p = Mul(z, s)"),
        (
            "float[1,1,4,6] s = {1,2,3,1,2,3, 4,5,6,4,5,6, 7,8,9,7,8,9, 3,2,1,3,2,1}",
            "float[3,1,6] s = {1,2,3,1,2,3, 4,5,6,4,5,6, 7,8,9,7,8,9}",
        ),
    ],
)
def test_what_only_resembles_a_rotation_is_left_alone(old: str, new: str) -> None:
    assert old in ROTARY
    assert "RotaryEmbedding" not in kinds(recovered(ROTARY.replace(old, new))[1])


@pytest.mark.parametrize(("fill", "there"), [("-1e4", True), ("-9999", False)])
def test_only_a_number_that_closes_a_position_is_a_mask(fill: str, there: bool) -> None:
    text = SDPA.replace("e = Add(s, m)", "e = Where(b, s, big)").replace("big = {-1e9}", f"big = {{{fill}}}")
    assert ("Attention" in kinds(recovered(text)[1])) == there


CLOSING = """g (float[1,2,3,4] q, float[1,2,3,4] k, float[1,2,3,4] v) => (float[1,2,3,4] y)
    <float c = {0.5}, float big = {FILL}, float[3,3] m = {MASK}, bool[3,3] open = {1,1,0, 0,0,0, 1,1,1}> {
    t = Transpose<perm=[0,1,3,2]>(k) a = MatMul(q, t) s = Mul(a, c) STEP p = Softmax<axis=-1>(e) y = MatMul(p, v) }"""


@pytest.mark.parametrize(
    ("step", "fill", "mean"),
    [("e = Add(s, m)", "-inf", False), ("e = Add(s, m)", "-3.4e38", True), ("e = Where(open, s, big)", "-1e9", True),
     ("e = Where(open, s, big)", "-inf", False), ("d = Where(open, s, big) e = Add(d, m)", "-1e4", True)],
)  # fmt: skip
def test_a_constant_mask_that_closes_a_whole_row_is_left_alone(step: str, fill: str, mean: bool) -> None:
    """The second row: NaN where -∞ closes it, the mean of v where a finite number does."""
    mask = ",".join("0" if is_open else fill for is_open in (1, 1, 0, 0, 0, 0, 1, 1, 1))
    model, graph, decisions = recovered(CLOSING.replace("STEP", step).replace("FILL", fill).replace("MASK", mask))
    assert [d.reason for d in decisions if d.rule == "recover_attention"] == ["a constant mask closes a whole row"]
    fed = feeds(model, 1)
    row = run(emitted(graph), fed)[0][:, :, 1]
    wanted = fed["v"].mean(axis=2) if mean else np.full((1, 2, 4), np.nan)
    np.testing.assert_allclose(row, wanted, rtol=1e-5, atol=1e-6)


def test_constant_masks_that_close_a_row_together_are_left_alone() -> None:
    text = CLOSING.replace("STEP", "d = Where(open, s, big) e = Add(d, m)").replace("FILL", "-1e9")
    _, graph, _ = recovered(text.replace("MASK", "-1e9,-1e9,0, 0,0,0, 0,0,0"))
    assert "Attention" not in kinds(graph)
    _, graph, _ = recovered(text.replace("MASK", "-1e9,0,0, 0,0,0, 0,0,0").replace("1,1,0, 0,0,0,", "1,1,0, 0,1,0,"))
    assert "Attention" in kinds(graph)


def test_heads_repeated_in_another_order_are_not_taken_for_groups() -> None:
    """Tile writes h₀ h₁ h₀ h₁, a group needs h₀ h₀ h₁ h₁: attention it is, but over the repeated heads."""
    text = SDPA.replace("float[2,4,7,8] k, float[2,4,7,6] v", "float[2,2,7,8] K, float[2,2,7,6] V")
    text = text.replace("float c =", "int64[4] n = {1,2,1,1}, float c =").replace("t = T", "k = Tile(K, n) v = Tile(V, n) t = T")
    model, graph, _ = recovered(text)
    assert kinds(graph).count("Tile") == 2 and kinds(graph).count("Attention") == 1
    fed = feeds(model, 1)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-5, atol=2e-5)


def test_double_precision_is_declined_with_a_reason() -> None:
    _, graph, decisions = recovered(SDPA.replace("float", "double"))
    assert "Attention" not in kinds(graph)
    assert [d.reason for d in decisions if d.rule == "recover_attention"] == ["Q, K and V are not all fp32 or all fp16"]


def test_golden_texts(golden: Golden) -> None:
    """What becomes of one spelling each."""
    texts = []
    for text in (SDPA, ROTARY, SDPA.replace("e = Add(s, m)", "e = Where(b, s, big)")):
        graph = recovered(text)[1]
        texts.append("\n".join(onnx.printer.to_text(node.to_proto()).strip() for node in graph.nodes))
    text = "\n\n".join(texts) + "\n"
    golden("attention.txt", text)


def cases() -> Mapping[str, tuple[onnx.ModelProto, list[np.ndarray], list[np.ndarray]]]:
    """The standard's own cases of the two operators, of opsets that rules write."""
    found = {}
    for case in collect():  # onnx collects once in a process, so that all of them have to be asked for
        opset = max(entry.version for entry in case.model.opset_import)
        if {"Attention", "RotaryEmbedding"} & {node.op_type for node in case.model.graph.node} and opset <= 24:
            found[case.name] = (case.model, list(case.inputs), list(case.outputs))
    return found


COVERED_BY_NOTHING = ("output of scores", "not padding")


def test_the_standards_cases_are_taken_apart_and_stay_right() -> None:
    rules, right, told = (named("attention_softmax"), named("rotary_slices")), 0, 0
    for name, (model, arrays, expected) in cases().items():
        graph = Graph(onnx.shape_inference.infer_shapes(model))
        decisions = apply(graph, rules)
        if not any(decision.taken for decision in decisions):
            assert [d for d in decisions if any(words in d.reason for words in COVERED_BY_NOTHING)], name
            told += 1
            continue
        if any(array.dtype.name == "bfloat16" for array in arrays):
            continue  # onnxruntime has no kernels for its parts
        fed = {value.name: np.asarray(array) for value, array in zip(model.graph.input, arrays, strict=True)}
        for ours, theirs in zip(run(graph.to_model(), fed), expected, strict=True):
            np.testing.assert_allclose(ours.astype(float), np.asarray(theirs).astype(float), rtol=2e-3, atol=2e-3, err_msg=name)
        right += 1
    assert right >= 50 and told >= 20


TURNED = """g (float[1,5,24] x, float[1,5,12] k, float[1,5,12] v) => (float[1,5,24] y) <int64[4] a = {1,5,4,6}, int64[4] b = {1,5,2,6},
    int64[3] f = {1,5,24}, float[1,5,3] c = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6}> {
    q0 = Reshape(x, a) k0 = Reshape(k, b) v0 = Reshape(v, b) q1 = Transpose<perm=[0,2,1,3]>(q0) k1 = Transpose<perm=[0,2,1,3]>(k0)
    v1 = Transpose<perm=[0,2,1,3]>(v0) q2 = RotaryEmbedding(q1, c, c) o = Attention<scale=0.5>(q2, k1, v1)
    p = Transpose<perm=[0,2,1,3]>(o) y = Reshape(p, f) }"""


def test_attention_reads_rows() -> None:
    model = infer(parse(TURNED, opset=23, ir=10))
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    apply(graph, (*FUSED_FOR_ORT, *SIMPLIFY))
    assert sorted({*kinds(graph)} - {"Reshape"}) == ["Attention", "RotaryEmbedding"]
    fed = feeds(model, 1)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("old", ["k1 = Transpose<perm=[0,2,1,3]>(k0)", "q2 = RotaryEmbedding(q1, c, c)"])
def test_attention_that_does_not_read_rows_stays(old: str) -> None:
    new = {"k": "k9 = Transpose<perm=[0,2,1,3]>(k0) k1 = Tanh(k9)", "q": "q2 = Sin(q1)"}[old[0]]
    graph = Graph(infer(parse(TURNED.replace(old, new), opset=23, ir=10)))
    assert not any(decision.taken for decision in apply(graph, [named("flatten_attention")]))


def test_a_proposal_changes_nothing() -> None:
    graph = Graph(infer(parse(SDPA, opset=21, ir=10)))
    before, root = onnx.printer.to_text(graph.to_model()), graph.producer("y")
    assert root is not None
    proposal = named("recover_attention").propose(graph, root)
    assert isinstance(proposal, Replacement) and [node.kind for node in proposal.nodes] == ["Attention"]
    assert onnx.printer.to_text(graph.to_model()) == before


FOUND = {
    "bert_tiny": {"Attention": 3},
    "glm_tiny": {"Attention": 3, "RotaryEmbedding": 6},
    "ppocr4_rec": {"Attention": 2},
}


@pytest.mark.parametrize("name", FOUND)
def test_real_models(name: str) -> None:
    from autoglmc.compiler.load.load_model import load_model

    graph = Graph(load_model(model_path(name), SHAPES[name]).proto)
    for rules in (RECOVER, SIMPLIFY, OFFER):
        apply(graph, rules)
    assert {kind: kinds(graph).count(kind) for kind in FOUND[name]} == FOUND[name]


def test_swiglu_is_swish_and_a_product() -> None:
    """x·σ(x)·y has no operator of its own: Swish, and the Mul that joins the two halves of the projection."""
    from autoglmc.compiler.load.load_model import load_model

    graph = Graph(load_model(model_path("glm_tiny"), SHAPES["glm_tiny"]).proto)
    for rules in (RECOVER, SIMPLIFY):
        apply(graph, rules)
    swishes = [node for node in graph.nodes if node.kind == "Swish"]
    assert len(swishes) == 3 and "Sigmoid" not in kinds(graph)
    for node in swishes:
        (user,) = graph.users(node.outputs[0])
        (gate,) = [name for name in user.inputs if name != node.outputs[0]]
        sources = [graph.producer(name) for name in (gate, node.inputs[0])]
        assert user.kind == "Mul" and all(source is not None and source.kind == "Slice" for source in sources)
        assert len({source.inputs[0] for source in sources if source is not None}) == 1
