"""Formulas are looked for in time that grows with the graph, not with what the graph is written out. Calls are counted, not seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
import pytest
from counted import calls_of
from ladders import STEPS, Step, ladder
from large_graphs import chain, fan_out, residual

from autoglmc.passes.formula.pattern import clip, tanh
from autoglmc.passes.formula.polynomial import Leaf, atom
from autoglmc.passes.formula.reading import Readings
from autoglmc.passes.formula.region import MAX_NODES, Reader
from autoglmc.passes.formula.walk import region
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, SIMPLIFY
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Rewrite

A_NODE = 2_500
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
    work(ladder(step, 4), rules)  # what is cached on first use is not a cost per step
    (few, least), (more, middle), (most, all_) = (work(ladder(step, steps), rules) for steps in (50, 60, 70))
    assert all_ <= A_NODE * most
    assert (all_ - middle) / (most - more) <= LINEAR * (middle - least) / (more - few)


@pytest.mark.parametrize(("build", "most"), [(chain, 90), (residual, 350), (fan_out, 380)], ids=["chain", "residual", "fan_out"])
def test_little_is_looked_for_where_no_formula_is(build: Callable[[int], onnx.ModelProto], most: int) -> None:
    """A walk of 48 nodes back from every sum takes 1,600 calls a node."""
    size = 400
    assert work(onnx.shape_inference.infer_shapes(build(size)), RECOVER)[1] <= most * size


@pytest.mark.parametrize("others", [False, True])
def test_a_tensor_with_functions_that_no_formula_has_is_not_walked_behind(others: bool) -> None:
    """Unless other tensors than x may be read: those may lie behind x too."""
    graph = Graph(residual(60))
    formulas = frozenset({frozenset({"Tanh"}), frozenset({"Clip"})})
    found = region(Reader(graph, others, 1, formulas), graph.nodes[-1])
    assert (len(found.reads) > MAX_NODES // 2) is others


def test_what_is_too_deep_to_read_is_remembered() -> None:
    """A sum that never ends: MAX_NODES would be read from every node of it."""
    graph = Graph(fan_out(400))
    readings = Readings(Reader(graph))
    tensors = [node.outputs[0] for node in reversed(graph.nodes) if node.operator == "Add"][:60]
    first = calls_of(lambda: readings.find(tensors[0], "s", False, False))
    assert calls_of(lambda: [readings.find(tensor, "s", False, False) for tensor in tensors[1:]]) < 2 * first


def test_what_stands_inside_several_atoms_is_walked_once() -> None:
    s = atom(Leaf("x"))
    for _ in range(100):
        s = clip(s, 0.0, 1.0) + tanh(s)
    assert calls_of(lambda: s.content) < 10_000
    assert (s.content.functions, s.content.tensors, s.content.calls) == ({"Clip", "Tanh"}, {"x"}, 100)
