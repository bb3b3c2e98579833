"""Nodes that compute nothing go; where their name must stay, they stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.simplify.remove_identity import REMOVALS

GONE = {
    "remove_identity": "g (float[2,3] x) => (float[2,3] y) { t = Identity(x) u = Identity(t) y = Relu(u) }",
    "remove_dropout": "g (float[2,3] x) => (float[2,3] y) { t = Dropout(x) y = Relu(t) }",
    "remove_cast": "g (float[2,3] x) => (float[2,3] y) { t = Cast<to=1>(x) y = Relu(t) }",
    "remove_reshape": "g (float[2,3] x) => (float[2,3] y) <int64[2] s = {2,-1}> { t = Reshape(x, s) u = Expand(t, s2) y = Relu(u) }",
    "remove_whole": """g (float[2,3] x) => (float[2,3] y) <int64[1] s = {3}>
        { a = Concat<axis=0>(x) b = Split<axis=1>(a, s) c = Split<axis=0, num_outputs=1>(b) d = Sum(c) e = Max(d) y = Relu(e) }""",
    "remove_transpose": "g (float[2,3] x) => (float[2,3] y) { t = Transpose<perm=[0,1]>(x) y = Relu(t) }",
}
GONE["remove_reshape"] = GONE["remove_reshape"].replace("{2,-1}>", "{2,-1}, int64[2] s2 = {1,3}>")
STAYS = {
    "remove_identity": "g (float[2,3] x) => (float[2,3] y) { y = Identity(x) }",
    "remove_dropout": "g (float[2,3] x) => (float[2,3] y) <float r = {0.5}, bool t = {1}> { u = Dropout(x, r, t) y = Relu(u) }",
    "remove_cast": "g (float[2,3] x) => (float16[2,3] y) { t = Cast<to=10>(x) y = Relu(t) }",
    "remove_reshape": "g (float[2,3] x) => (float[3,2] y) <int64[2] s = {3,2}> { t = Reshape(x, s) y = Relu(t) }",
    "remove_whole": """g (float[2,3] x) => (float[4,3] y)
        { a = Concat<axis=0>(x, x) b, c = Split<axis=0, num_outputs=2>(a) y = Concat<axis=0>(b, c) }""",
    "remove_transpose": "g (float[2,2] x) => (float[2,2] y) { t = Transpose<perm=[1,0]>(x) y = Relu(t) }",
}


def test_every_removal_is_tested_here() -> None:
    assert set(GONE) == set(STAYS) == {rule.name for rule in REMOVALS}


@pytest.mark.parametrize("name", GONE)
def test_what_computes_nothing_is_taken_out(name: str) -> None:
    model, graph = infer(parse(GONE[name], opset=21, ir=10)), Graph(infer(parse(GONE[name], opset=21, ir=10)))
    decisions = apply(graph, REMOVALS)
    assert {decision.rule for decision in decisions if decision.taken} == {name}
    assert [node.operator for node in graph.nodes] == ["Relu"]
    fed = feeds(model, 0)
    np.testing.assert_array_equal(run(model, fed)[0], run(emitted(graph), fed)[0])


@pytest.mark.parametrize("name", STAYS)
def test_what_computes_something_stays(name: str) -> None:
    graph = Graph(infer(parse(STAYS[name], opset=21, ir=10)))
    before = onnx.printer.to_text(graph.to_model())
    assert not any(decision.taken for decision in apply(graph, REMOVALS))
    assert onnx.printer.to_text(graph.to_model()) == before


def test_a_name_that_a_body_reads_stays() -> None:
    text = """g (float[2] x, bool c) => (float[2] y) { t = Identity(x)
        y = If<then_branch = a () => (float[2] p) { p = Relu(t) }, else_branch = b () => (float[2] q) { q = Neg(t) }>(c) }"""
    graph = Graph(infer(parse(text, opset=21, ir=10)))
    assert [decision.taken for decision in apply(graph, REMOVALS)] == [False]
    assert [node.operator for node in graph.nodes] == ["Identity", "If"]
