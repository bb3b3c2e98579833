"""Equal nodes become one; nodes that differ in anything, or are drawn at random, stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.simplify.merge_equal import merge_equal

GOLDEN = """g (float[2,3] x) => (float[2,3] y)
   <float one =  {1}>
{
   [""] a = Exp (x)
   [""] c = Add (a, one)
   [""] y = Mul (c, c)
}"""
SPELLED = """g (float[2,3] x) => (float[2,3] y) <float one = {1}, float uno = {1}> {
    a = Exp(x) b = Exp(x) c = Add(a, one) d = Add(b, uno) y = Mul(c, d) }"""
STEPS = st.tuples(st.sampled_from(["Exp", "Neg", "Add", "Sub", "Mul"]), st.integers(0, 9), st.integers(0, 9))
STAYS = (
    "g (float[2,3] x) => (float[2,3] y) <float c = {1}, float d = {2}> { a = Add(x, c) b = Add(x, d) y = Mul(a, b) }",
    "g (float[2,3] x) => (float[2,3] y) <float c = {1}, float[1] d = {1}> { a = Sub(x, c) b = Sub(d, x) y = Mul(a, b) }",
    "g (float[2,3] x) => (float[2,3] y) { a = Elu<alpha=1.0>(x) b = Elu<alpha=1.01>(x) y = Mul(a, b) }",
    "g (float[2,3] x) => (float[2,3] y) { a = RandomNormalLike<dtype=1>(x) b = RandomNormalLike<dtype=1>(x) y = Mul(a, b) }",
    "g (float[2,3] x) => (float[2,3] y, float[2,3] z) { y = Exp(x) z = Exp(x) }",
    """g (float[2] x, bool c) => (float[2] y, float[2] z) { a = Exp(x) b = Exp(x) z = Neg(a)
        y = If<then_branch = p () => (float[2] q) { q = Relu(b) }, else_branch = r () => (float[2] s) { s = Neg(b) }>(c) }""",
)


def load(text: str) -> onnx.ModelProto:
    return infer(parse(text, opset=21, ir=10))


def test_equal_nodes_become_one() -> None:
    graph = Graph(load(SPELLED))
    assert [decision.tensor for decision in merge_equal(graph)] == ["b", "d"]
    model = graph.to_model()
    del model.graph.value_info[:]
    assert [line.rstrip() for line in onnx.printer.to_text(model.graph).strip().split("\n")] == GOLDEN.split("\n")
    fed = feeds(model, 1)
    np.testing.assert_array_equal(run(load(SPELLED), fed)[0], run(emitted(graph), fed)[0])


@pytest.mark.parametrize("text", STAYS)
def test_what_differs_or_must_keep_its_name_stays(text: str) -> None:
    graph = Graph(load(text))
    before = onnx.printer.to_text(graph.to_model())
    assert not merge_equal(graph)
    assert onnx.printer.to_text(graph.to_model()) == before


def test_what_may_not_be_merged_is_not() -> None:
    graph = Graph(load(SPELLED))
    assert [decision.tensor for decision in merge_equal(graph, lambda rule, tensor: tensor != "d")] == ["b"]
    assert [node.operator for node in graph.nodes] == ["Exp", "Add", "Add", "Mul"]


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=2, max_size=12))
def test_random_graphs_keep_every_value_and_hold_nothing_twice(steps: list[tuple[str, int, int]]) -> None:
    names, lines = ["x"], []
    for k, (operator, left, right) in enumerate(steps):
        inputs = [names[left % len(names)], names[right % len(names)]][: 1 if operator in ("Exp", "Neg") else 2]
        lines.append(f"t{k} = {operator}({', '.join(inputs)})")
        names.append(f"t{k}")
    text = f"g (float[2,3] x) => (float[2,3] y) {{ {' '.join(lines)} s = Sum({', '.join(names)}) y = Tanh(s) }}"
    model, graph = load(text), Graph(load(text))
    merge_equal(graph)
    keys = [(node.operator, tuple(node.inputs)) for node in graph.nodes]
    assert len(set(keys)) == len(keys)
    fed = feeds(model, 1, 0.5)
    np.testing.assert_array_equal(run(model, fed)[0], run(emitted(graph), fed)[0])
