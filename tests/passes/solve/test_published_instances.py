"""The front end of the published instances and its judge: what the solver's evaluator says, the judge finds in the raw file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import placement_judge as judge
import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from published_instances import instance

from autoglmc.passes.solve.overlap.slots import INFINITE, Place, Slots
from autoglmc.passes.solve.overlap.solve_overlap import solve_latency, solve_throughput
from autoglmc.passes.solve.problem import Problem

ROOT = Path(__file__).resolve().parents[3]


@st.composite
def raws(draw: st.DrawFn, most: int = 7, cpus: int = 1) -> dict[str, Any]:
    count = draw(st.integers(2, most))
    times = st.integers(0, 40)
    nodes = [
        {
            "id": 3 * k + 5, "name": f"n{k}", "cpuLatency": draw(times) * 3, "fpgaLatency": draw(times), "size": draw(st.integers(0, 9)),
            "supportedOnFpga": draw(st.sampled_from((1, 1, 1, 0))), "colorClass": draw(st.sampled_from((None, None, None, 1, 2))),
        }
        for k in range(count)
    ]  # fmt: skip
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=2 * count, unique=True))
    costs = [draw(st.integers(0, 10)) for _ in range(count)]
    edges = [{"sourceId": nodes[a]["id"], "destId": nodes[b]["id"], "cost": costs[a]} for a, b in pairs if a < b]
    return {"maxSizePerFPGA": draw(st.integers(4, 30)), "maxFPGAs": 2, "maxCPUs": cpus, "nodes": nodes, "edges": edges}


def spread(problem: Problem, seed: int) -> Place:
    draw = random.Random(seed)
    slots = Slots(problem, [1] * len(problem.devices))
    devices = [draw.randrange(len(problem.devices)) for _ in problem.units]
    return Place(tuple(slots.slot(unit, device) for unit, device in enumerate(devices)), (0,) * len(devices))


@settings(max_examples=200)
@given(raws(), st.integers(0, 1000), st.booleans())
def test_a_placement_takes_what_the_judge_finds(raw: dict[str, Any], seed: int, latency: bool) -> None:
    case = instance(raw, 1, parallel=latency)
    slots, place = Slots(case.problem, [1] * len(case.problem.devices)), spread(case.problem, seed)
    where = {node: case.problem.devices[slots.device[slot]] for node, slot in zip(case.ids, place.slots, strict=True)}
    said = slots.seconds(place) if latency else slots.period(place)
    try:
        found = judge.latency(raw, where) if latency else judge.period(raw, where)
    except judge.Unsound:
        found = INFINITE
    assert said == pytest.approx(found)


@settings(max_examples=examples(12, 25))
@given(raws(most=5))
def test_no_placement_beats_a_proven_one(raw: dict[str, Any]) -> None:
    for latency in (True, False):
        case = instance(raw, 1, parallel=latency)
        solution = (solve_latency if latency else solve_throughput)(case.problem, [])
        best, names, count = INFINITE, case.problem.devices, len(raw["nodes"])
        for number in range(len(names) ** count):
            where = {node["id"]: names[number // len(names) ** k % len(names)] for k, node in enumerate(raw["nodes"])}
            try:
                best = min(best, judge.latency(raw, where) if latency else judge.period(raw, where))
            except judge.Unsound:
                continue
        assert (solution is None) == (best == INFINITE)
        if solution is not None:
            assert solution.proven
            assert solution.price.cost == pytest.approx(best, rel=2e-4, abs=1e-9)


def test_equal_plans_in_two_processes() -> None:
    """Of the smallest instance of each kind that is made here, by hash seed."""
    text = (
        "import random\n"
        "from autoglmc.passes.solve.problem import Net, Problem, Room, Unit\n"
        "from autoglmc.passes.solve.overlap.solve_overlap import solve_latency, solve_throughput\n"
        "draw = random.Random(5)\n"
        "table = ((0.0, 2e-6, 3e-6), (2e-6, 0.0, 1e-6), (3e-6, 1e-6, 0.0))\n"
        "units = tuple(Unit(f'u{k}', tuple(draw.uniform(1, 9) * 1e-6 for _ in range(3)), 5) for k in range(20))\n"
        "reads = [tuple(sorted({k + 1 + draw.randrange(min(6, 19 - k)) for _ in range(2)})) for k in range(19)]\n"
        "nets = tuple(Net(f't{k}', k, readers, False, table) for k, readers in enumerate(reads))\n"
        "problem = Problem(('cpu', 'npu', 'gpu'), 0, (0.0, 4e-6, 4e-6), units, nets, (Room('sram', (1,), 40),))\n"
        "print([(s.assignment, s.price, s.lower_bound) for s in (solve_latency(problem, [], 0.1), solve_throughput(problem, [], 0.1))])\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", text], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert b"Price" in runs[0].stdout
