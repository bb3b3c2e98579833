"""Formulas are looked for in time that grows with the graph, not with what the graph is written out. Calls are counted, not seconds."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import pytest
from counted import calls_of
from ladders import STEPS, Step, ladder

from autoglmc.passes.formula.pattern import clip, tanh
from autoglmc.passes.formula.polynomial import Leaf, atom
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, SIMPLIFY
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Rewrite

A_NODE = 4_000
"""Calls, at most: some 0.3 ms."""
LINEAR = 1.1


def work(model: onnx.ModelProto, rules: Sequence[Rewrite]) -> tuple[int, int]:
    graph = Graph(model)
    nodes = len(graph.nodes)
    return nodes, calls_of(lambda: apply(graph, rules))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("rules", [RECOVER, SIMPLIFY], ids=["recover", "simplify"])
def test_each_step_of_a_ladder_costs_the_same(rules: Sequence[Rewrite], step: Step) -> None:
    """The first steps are cheaper: less lies behind them."""
    (few, least), (more, middle), (most, all_) = (work(ladder(step, steps), rules) for steps in (50, 60, 70))
    assert all_ <= A_NODE * most
    assert (all_ - middle) / (most - more) <= LINEAR * (middle - least) / (more - few)


def test_what_stands_inside_several_atoms_is_walked_once() -> None:
    s = atom(Leaf("x"))
    for _ in range(100):
        s = clip(s, 0.0, 1.0) + tanh(s)
    assert calls_of(lambda: s.content) < 10_000
    assert (s.content.functions, s.content.tensors, s.content.calls) == ({"Clip", "Tanh"}, {"x"}, 100)
