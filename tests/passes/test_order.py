"""The order in which rules are tried at one node: what is declared is needed, and what is needed is declared."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from run_model import emitted, feeds, infer, run
from small_models import parse
from spellings.entry import Entry
from spellings.table import SPELLINGS
from spellings.trial import Trial, trials
from typed_models import load

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import OFFER, RECOVER, SIMPLIFY, TUNE, every_rule, named
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.order import in_order
from autoglmc.passes.rule.rewrite import Rewrite
from autoglmc.passes.simplify.merge_equal import merge_equal

Rules = Sequence[Rewrite]
STAGES: Mapping[str, Rules] = {"recover": RECOVER, "recover whole": OFFER, "simplify": SIMPLIFY, "tune": TUNE["ort"]}
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
EXAMPLES = 20
"""Spellings of every rule."""
MODELS = ("bert_tiny", "glm_tiny", "lightnet", "magika_v3_3", "ppocr4_rec", "silero_vad_16k_op15")
COSTS: Mapping[tuple[str, str], str] = {
    ("recover_layernorm", "recover_rmsnorm"): """
        g (float[2,8] x) => (float[2,8] y) <int64[1] axis = {1}, float eps = {0.00001}> {
        m = ReduceMean(x, axis) d = Sub(x, m) q = Mul(d, d) v = ReduceMean(q, axis) e = Add(v, eps) r = Sqrt(e) y = Div(d, r) }""",
    ("recover_hardsigmoid_fifth", "recover_hardsigmoid"): """
        g (float[4] x) => (float[4] y) <float a = {1.2}, float c = {0.16666667}, float h = {0.5}, float zero = {0}, float one = {1}> {
        u = Mul(x, a) t = Mul(u, c) s = Add(t, h) y = Clip(s, zero, one) }""",
    ("remove_reshape", "merge_reshape"): """
        g (float[6] x) => (float[2,3] y, float[2,3] z) <int64[2] s = {2,3}> {
        a = Reshape(x, s) b = Reshape(a, s) y = Relu(a) z = Neg(b) }""",
    ("remove_reshape", "merge_shaping"): """
        g (float[6] x) => (float[2,3] y, float[2,3] z) <int64[2] s = {2,3}> {
        a = Reshape(x, s) b = Flatten<axis=1>(a) y = Relu(a) z = Neg(b) }""",
    ("remove_transpose", "merge_transpose"): """
        g (float[3,2] x) => (float[2,3] y, float[2,3] z) {
        a = Transpose<perm=[1,0]>(x) b = Transpose<perm=[0,1]>(a) y = Relu(a) z = Neg(b) }""",
}  # fmt: skip
"""By a declared pair, a graph that comes out larger the other way round."""


def declared() -> Iterator[tuple[str, str]]:
    return ((rule.name, later) for rule in every_rule() for later in rule.before)


def test_every_declared_order_has_a_graph_that_needs_it() -> None:
    assert set(COSTS) == set(declared())


@pytest.mark.parametrize(("first", "second"), COSTS)
def test_the_other_order_costs_operators(first: str, second: str) -> None:
    """And both orders are right: rules do not depend on one another for what they compute."""
    model = infer(parse(COSTS[first, second], opset=21, ir=10))
    ordered, swapped = ([named(name) for name in names] for names in ((first, second), (second, first)))
    best, other = rewritten(model, ordered), rewritten(model, swapped)
    assert len(best.nodes) < len(other.nodes)
    fed = feeds(model, 3)
    for result in (best, other):
        for ours, theirs in zip(run(emitted(result), fed), run(model, fed), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_the_declared_order(stage: str) -> None:
    """Whatever order the library lists its rules in."""
    rules = STAGES[stage]
    for order in (rules, in_order(*reversed(rules)), in_order(*random.Random(1).sample(rules, len(rules)))):
        place = {rule.name: k for k, rule in enumerate(order)}
        assert set(order) == set(rules)
        assert all(place[first] < place[second] for first, second in declared() if {first, second} <= place.keys())


def test_the_given_order_stays_where_nothing_is_declared() -> None:
    fold, pad = named("fold_batchnorm"), named("fold_pad")
    assert in_order(fold, pad) == (fold, pad) and in_order(pad, fold) == (pad, fold)


def test_declarations_that_contradict_each_other_are_refused() -> None:
    names = ["fold_pad", "fold_batchnorm", "fold_pad"]
    rules = [replace(named(first), before=(second,)) for first, second in pairwise(names)]
    with pytest.raises(ValueError, match="each of these rules must come before another one of them: fold_pad, fold_batchnorm"):
        in_order(*rules)


@pytest.mark.parametrize("stage", STAGES)
def test_no_order_is_needed_that_is_not_declared(stage: str) -> None:
    """Listed backwards, which turns round every pair that is not declared, the rules give the same graph, up to names of tensors."""
    rules, backwards = STAGES[stage], in_order(*reversed(STAGES[stage]))
    for model in corpus(stage):
        assert form(rewritten(model, backwards)) == form(rewritten(model, rules)), onnx.printer.to_text(model)


@pytest.mark.parametrize("name", MODELS)
def test_any_order_that_is_declared_will_do_for_real_models(name: str) -> None:
    """Recovered and simplified in three random orders."""
    rules, model = [*RECOVER, *SIMPLIFY], load(name)
    expected = form(rewritten(model, rules))
    for seed in range(3):
        order = in_order(*random.Random(seed).sample(rules, len(rules)))
        assert form(rewritten(model, order)) == expected


@pytest.mark.parametrize(("first", "second"), COSTS)
def test_a_missing_declaration_is_seen(first: str, second: str) -> None:
    """What the test above compares tells the two orders of a declared pair apart."""
    model = infer(parse(COSTS[first, second], opset=21, ir=10))
    stage = next(rules for rules in STAGES.values() if {first, second} <= {rule.name for rule in rules})
    wrong = sorted(stage, key=lambda rule: rule.name != second)
    assert form(rewritten(model, wrong)) != form(rewritten(model, stage))


def rewritten(model: onnx.ModelProto, rules: Rules) -> Graph:
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    apply(graph, rules)
    graph.sweep()
    return graph


def corpus(stage: str) -> Iterator[onnx.ModelProto]:
    """Spellings of the stage's rules, as they are, with equal parts merged, and with everything inside read elsewhere too."""
    for data in (data for rule in STAGES[stage] for data in spelled(SPELLINGS[rule.name])):
        yield onnx.ModelProto.FromString(data)
        yield read_elsewhere(onnx.ModelProto.FromString(data))
        graph = Graph(onnx.ModelProto.FromString(data))
        if merge_equal(graph):
            yield graph.to_model()
    for text in COSTS.values():
        yield infer(parse(text, opset=21, ir=10))


def read_elsewhere(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every tensor of floats is read by one more node, whose result is an output."""
    floats = {value.name for value in model.graph.value_info if value.type.tensor_type.elem_type in FLOATS}
    for name in [name for node in model.graph.node for name in node.output if name in floats]:
        model.graph.node.append(onnx.helper.make_node("Tanh", [name], [f"{name}_elsewhere"], name=f"{name}_elsewhere"))
        model.graph.output.append(onnx.ValueInfoProto(name=f"{name}_elsewhere"))
    return infer(model)


def spelled(entry: Entry) -> list[bytes]:
    """The same ones in every run."""
    found: list[bytes] = []

    @settings(max_examples=EXAMPLES, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(trials(entry))
    def collect(at: Trial) -> None:
        found.append(at.model.SerializeToString())

    collect()
    return found


def form(graph: Graph) -> tuple[object, ...]:
    """What the graph computes, operator by operator, without the names of its tensors and nodes: equal for equal graphs."""
    known: dict[str, str] = {}

    def digest(name: str) -> str:
        if name not in known:
            known[name] = hashed(content(graph, name))
        return known[name]

    for node in graph.nodes:
        attributes = sorted((name, a.SerializeToString(deterministic=True)) for name, a in node.attributes.items())
        whole = hashed((node.kind, attributes, [digest(name) for name in node.inputs], [digest(name) for name in node.captures]))
        known.update({name: f"{whole}.{k}" for k, name in enumerate(node.outputs) if name})
    return len(graph.nodes), {name: digest(name) for name in graph.outputs}


def content(graph: Graph, name: str) -> object:
    """A constant's dtype, shape and bytes; the name of an input."""
    value = graph.value(name)
    return name if value is None else (value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).digest())


def hashed(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
