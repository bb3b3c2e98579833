"""The minimum cut of lower_bound.py against networkx and, on small problems, against every cut there is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product

import networkx as nx
import pytest
from hypothesis import given, settings
from models import SHAPES, model_path
from placement_problems import problems

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.pipeline.run_passes import run_passes
from autoglmc.compiler.plan.plan_model import start
from autoglmc.passes.solve.lower_bound import TICKS, _ticks, cut_bound
from autoglmc.passes.solve.problem import Net, Problem
from autoglmc.passes.solve.separate_units import separate_units

NEVER = float("inf")
Sets = Sequence[Sequence[int]]


def cheapest(times: Sequence[float | None]) -> float:
    return min((seconds for seconds in times if seconds is not None), default=NEVER)


def ways(problem: Problem, net: Net, accelerators: Sequence[int]) -> tuple[float, float]:
    """Seconds of a tensor from the host to the nearest accelerator, and from the nearest to the host."""
    there = cheapest([net.seconds[problem.host][d] for d in accelerators])
    return there, cheapest([net.seconds[d][problem.host] for d in accelerators])


def value(problem: Problem, accelerators: Sequence[int], sides: Sequence[bool], charged: Sets = (), charge: float = 0.0) -> float:
    """What the module's first lines say that a cut costs; `sides[u]`: whether unit u is on an accelerator."""
    total = 0.0
    for unit, away in zip(problem.units, sides, strict=True):
        total += cheapest([unit.seconds[d] for d in accelerators] if away else [unit.seconds[problem.host]])
    for net in problem.nets:
        made_away = net.producer >= 0 and sides[net.producer]
        used = {sides[unit] for unit in net.consumers} | ({False} if net.to_host else set())
        there, back = ways(problem, net, accelerators)
        total += back if made_away and False in used else 0.0
        total += there if not made_away and True in used else 0.0
    return total + sum(charge for units in charged if any(sides[unit] for unit in units))


def cut_by_networkx(
    problem: Problem, accelerators: Sequence[int], charged: Sets = (), charge: float = 0.0, forced: tuple[int, bool] | None = None
) -> tuple[float, list[bool]]:
    """The minimum cut and its sides, on a network of its own: an edge without a capacity cannot be cut."""
    graph: nx.DiGraph[str] = nx.DiGraph()

    def cuttable(tail: str, head: str, seconds: float) -> None:
        graph.add_edge(tail, head, **({} if seconds == NEVER else {"capacity": seconds}))

    for k, unit in enumerate(problem.units):
        cuttable("host", f"unit {k}", cheapest([unit.seconds[d] for d in accelerators]))
        cuttable(f"unit {k}", "accelerators", cheapest([unit.seconds[problem.host]]))
    if forced is not None:
        unit, away = f"unit {forced[0]}", forced[1]
        graph.add_edge(*((unit, "accelerators") if away else ("host", unit)))
        graph.edges[(unit, "accelerators") if away else ("host", unit)].pop("capacity", None)
    for number, net in enumerate(problem.nets):
        there, back = ways(problem, net, accelerators)
        maker = "host" if net.producer < 0 else f"unit {net.producer}"
        cuttable(maker, f"there {number}", there)
        for unit in net.consumers:
            graph.add_edge(f"there {number}", f"unit {unit}")
        if net.producer >= 0:
            cuttable(f"back {number}", maker, back)
            for reader in [*(f"unit {unit}" for unit in net.consumers), *(["host"] if net.to_host else [])]:
                graph.add_edge(reader, f"back {number}")
    for number, units in enumerate(charged):
        cuttable("host", f"charge {number}", charge)
        for k in units:
            graph.add_edge(f"charge {number}", f"unit {k}")
    try:
        total, (host, _) = nx.minimum_cut(graph, "host", "accelerators")
    except nx.NetworkXUnbounded:
        return NEVER, []
    return total, [f"unit {k}" not in host for k in range(len(problem.units))]


def close(problem: Problem) -> float:
    """Times count in ticks, each rounded down."""
    return (2 * len(problem.units) + 3 * len(problem.nets) + 1) / TICKS


def same(problem: Problem, ours: float, theirs: float) -> bool:
    return ours == theirs or abs(ours - theirs) <= close(problem)


@settings(max_examples=60)
@given(problems(most=6, devices=3))
def test_small_problems(problem: Problem) -> None:
    accelerators = [1, 2]
    values = {sides: value(problem, accelerators, sides) for sides in product((False, True), repeat=len(problem.units))}
    bound = cut_bound(problem, accelerators)
    assert same(problem, bound.best, min(values.values()))
    theirs, sides = cut_by_networkx(problem, accelerators)
    assert same(problem, bound.best, theirs)
    assert not sides or value(problem, accelerators, sides) == pytest.approx(theirs)
    assert not bound.sides or same(problem, value(problem, accelerators, bound.sides), bound.best)
    for k in range(len(problem.units) if bound.sides else 0):
        for away, found in ((False, bound.forced_host[k]), (True, bound.forced_accelerator[k])):
            assert same(problem, found, min(total for sides, total in values.items() if sides[k] is away))


@settings(max_examples=60)
@given(problems(most=7, devices=2))
def test_sets_that_are_charged(problem: Problem) -> None:
    sets, charge = separate_units(problem, [1]), problem.dispatch[1]
    bound = cut_bound(problem, [1], False, sets, charge)
    every = (value(problem, [1], sides, sets, charge) for sides in product((False, True), repeat=len(problem.units)))
    assert same(problem, bound.best, min(every))
    assert same(problem, bound.best, cut_by_networkx(problem, [1], sets, charge)[0])


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bert_tiny", "a16"), ("glm_tiny", "snapdragon_8gen3"), ("lightnet", "tensor_g2"), ("magika_v3_3", "workstation"),
        ("onnx_seeded_shufflenet", "a16"),
    ],
)  # fmt: skip
def test_real_problems(name: str, target: str) -> None:
    work = start(load_model(model_path(name), SHAPES[name]), load_target(target), 1.0)
    run_passes(work, lambda stage: nullcontext(), (), "ask-devices")
    assert work.question is not None
    problem = work.question.problem
    every = [d for d in range(len(problem.devices)) if d != problem.host]
    for accelerators in (every, every[:1]):
        bound = cut_bound(problem, accelerators)
        theirs, sides = cut_by_networkx(problem, accelerators)
        assert same(problem, bound.best, theirs)
        assert same(problem, value(problem, accelerators, sides), theirs)
        for k in range(0, len(problem.units), max(1, len(problem.units) // 2)):
            away = not bound.sides[k]
            found = (bound.forced_accelerator if away else bound.forced_host)[k]
            assert same(problem, found, cut_by_networkx(problem, accelerators, forced=(k, away))[0])


@pytest.mark.parametrize("seconds", [1e9, 1e300, float("inf")])
def test_times_beyond_any_count_are_a_bound_still(seconds: float) -> None:
    """A damaged model may declare shapes that take longer than the world."""
    assert 0 < _ticks(1e-6) < _ticks(seconds) < 2**63
