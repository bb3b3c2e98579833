"""The solver against all assignments of small problems, and its bounds."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from placement_problems import problems

from autoglmc.passes.solve.lower_bound import cut_bound
from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Net, Problem, Room, Unit
from autoglmc.passes.solve.separate_units import separate_units
from autoglmc.passes.solve.solve import GAP, solve


def cheapest(problem: Problem) -> float:
    plans = product(range(len(problem.devices)), repeat=len(problem.units))
    return min((found.total for plan in plans if (found := price(problem, plan)) is not None), default=float("inf"))


@settings(max_examples=60)
@given(problems())
def test_the_answer_is_the_cheapest_of_all_assignments(problem: Problem) -> None:
    best = cheapest(problem)
    solution = solve(problem, [[0] * len(problem.units)])
    assert solution is not None
    assert solution.proven
    assert solution.price.total == pytest.approx(best, rel=1.01 * GAP, abs=1e-9)
    assert price(problem, solution.assignment) == solution.price


@settings(max_examples=30)
@given(problems(most=4, devices=5))
def test_four_accelerators_and_a_host(problem: Problem) -> None:
    solution = solve(problem, [])
    assert solution is not None
    assert solution.price.total == pytest.approx(cheapest(problem), rel=1.01 * GAP, abs=1e-9)


@settings(max_examples=100)
@given(problems())
def test_the_cut_is_a_lower_bound_and_so_is_every_forced_one(problem: Problem) -> None:
    bound = cut_bound(problem, [1, 2])
    plans = [(plan, found.total) for plan in product(range(3), repeat=len(problem.units)) if (found := price(problem, plan)) is not None]
    assert all(bound.best <= total + 1e-8 for _, total in plans)
    for k in range(len(problem.units)):
        assert all(bound.forced_host[k] <= total + 1e-8 for plan, total in plans if plan[k] == 0)
        assert all(bound.forced_accelerator[k] <= total + 1e-8 for plan, total in plans if plan[k] != 0)


@settings(max_examples=100)
@given(problems(most=7, devices=2))
def test_units_kept_apart_by_the_host_never_share_a_segment(problem: Problem) -> None:
    sets = separate_units(problem, [1])
    of = {unit: k for k, members in enumerate(sets) for unit in members}
    assert len(of) == sum(map(len, sets))
    assert all(problem.units[unit].seconds[1] is not None for unit in of)
    plain, charged = cut_bound(problem, [1]), cut_bound(problem, [1], True, sets, problem.dispatch[1])
    for plan in product(range(2), repeat=len(problem.units)):
        found = price(problem, plan)
        if found is None:
            continue
        assert all(len({of[unit] for unit in piece.units if unit in of}) <= 1 for piece in found.pieces if piece.device == 1)
        assert charged.best <= found.total + 1e-8
        for k, device in enumerate(plan):
            assert (charged.forced_accelerator if device else charged.forced_host)[k] <= found.total + 1e-8
    assert charged.best >= plain.best - 1e-9


def test_every_island_is_charged_its_dispatch() -> None:
    free = ((0.0, 0.0), (0.0, 0.0))
    units = tuple(Unit(f"u{k}", (1e-5, None) if k % 2 else (1e-5, 1e-6)) for k in range(9))
    nets = tuple(Net(f"t{k}", k, (k + 1,), False, free) for k in range(8))
    problem = Problem(("cpu", "npu"), 0, (0.0, 5e-6), units, nets)
    sets = separate_units(problem, [1])
    assert sets == [[0], [2], [4], [6], [8]]
    # four operators stay on the host; each of the others costs 1 us there and a dispatch of 5
    assert cut_bound(problem, [1], True, sets, 5e-6).best == pytest.approx(4 * 1e-5 + 5 * 6e-6)
    solution = solve(problem, [[0] * 9])
    assert solution is not None
    assert solution.price.total == pytest.approx(7e-5)


def test_a_limit_on_segments_is_kept() -> None:
    units = tuple(Unit(f"u{k}", (None, 1e-6) if k % 2 else (1e-5, 1e-6)) for k in range(5))
    free = ((0.0, 0.0), (0.0, 0.0))
    nets = tuple(Net(f"t{k}", k, (k + 1,), False, free) for k in range(4))
    problem = Problem(("cpu", "npu"), 0, (1e-6, 1e-9), units, nets, (), (None, 1))
    solution = solve(problem, [[1 if k % 2 else 0 for k in range(5)]])
    assert solution is not None
    assert sum(piece.device == 1 for piece in solution.price.pieces) == 1


def test_no_assignment_at_all_is_none() -> None:
    problem = Problem(("cpu", "npu"), 0, (0.0, 0.0), (Unit("u", (None, 1e-6), 5),), (), (Room("sram", (1,), 4),))
    assert solve(problem, [[1]]) is None


def test_nothing_to_place_has_a_plan() -> None:
    """What a model of dead operators comes to."""
    problem = Problem(devices=("npu", "cpu"), host=1, dispatch=(1.0, 1.0), units=(), nets=())
    found = solve(problem, [[]])
    assert found is not None and found.assignment == () and found.proven and found.price.cost == 0
