"""What the graph shows to be no less than 0 is: drawn chains of what makes, moves and wraps integers, computed by onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import DECOMPOSE, named
from autoglmc.passes.rule.apply import apply

WRAPPED = "l = Less({0}, {1}) p = Add(i, {2}) m0 = Where(l, {3})"
MAKE = {
    "m0 = Identity(i)": False,
    "m0 = Cast<to=7>(u)": True,
    "m0 = ArgMax<axis=0, keepdims=0>(x)": True,
    "m0 = Identity(a)": True,
    "m0 = Neg(a)": False,
    WRAPPED.format("i", "zero", "nine", "p, i"): True,
    WRAPPED.format("i", "zero", "nine", "p, i").replace("i, nine", "nine, i"): True,
    WRAPPED.format("i", "one", "nine", "p, i"): False,
    WRAPPED.format("i", "zero", "zero", "p, i"): False,
    WRAPPED.format("zero", "i", "nine", "p, i"): False,
    WRAPPED.format("i", "zero", "nine", "i, p"): False,
}
"""What writes int64[4] m0, and whether that is known to be no less than 0. i is a legal index of 9 rows."""
MOVES = (
    "{1} = Identity({0})",
    "{1} = Reshape({0}, shape)",
    "c{1} = Cast<to=6>({0}) {1} = Cast<to=7>(c{1})",
    "s{1} = Slice({0}, zero, one) {1} = Concat<axis=0>({0}, s{1})",
    "s{1} = Unsqueeze({0}, zero) {1} = Squeeze(s{1}, zero)",
)
CONSTANTS = "<int64[1] zero = {0}, int64[1] one = {1}, int64[1] nine = {9}, int64[1] shape = {-1}, int64[4] a = {0, 1, 2, 3}>"


def known(made: str, moves: list[str]) -> tuple[bool, Graph]:
    body = " ".join([made, *(move.format(f"m{k}", f"m{k + 1}") for k, move in enumerate(moves)), f"y = Gather(t, m{len(moves)})"])
    text = f"g (int64[4] i, uint8[4] u, float[9,4] x, float[9,2] t) => (float[n,2] y) {CONSTANTS} {{ {body} }}"
    graph = Graph(infer(parse(text, opset=21, ir=10)))
    return graph.view(graph.nodes[-1]).inputs["indices"].nonnegative, graph


@pytest.mark.parametrize(("made", "expected"), MAKE.items())
@given(st.lists(st.sampled_from(MOVES), max_size=2))
@settings(max_examples=5, deadline=None)
def test_what_is_known_stays_known_where_it_is_moved(made: str, expected: bool, moves: list[str]) -> None:
    found, graph = known(made, moves)
    assert found == expected
    if found:
        random = np.random.default_rng(0)
        fed = {"i": np.array([-9, 8, -1, 0]), "u": random.integers(0, 9, 4).astype(np.uint8)}
        fed |= {"x": random.standard_normal((9, 4)).astype(np.float32), "t": np.zeros((9, 2), np.float32)}
        model = graph.to_model()
        model.graph.output.add().CopyFrom(graph.tensors.value_info(graph.nodes[-1].inputs[1]))
        assert run(model, fed)[1].min() >= 0


def test_a_wrapped_index_is_wrapped_once() -> None:
    _, graph = known("m0 = Identity(i)", [])
    rule = [named("gather_from_start")]
    assert rule[0] in DECOMPOSE
    assert any(decision.taken for decision in apply(graph, rule))
    assert not any(decision.taken for decision in apply(graph, rule))
