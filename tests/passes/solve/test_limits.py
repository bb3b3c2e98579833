"""Limits, options and objectives against all plans of small problems (devices, options, cuts), evaluated without the solver's code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limited_problems import best, in_forms, limited
from placement_problems import MICRO

from autoglmc.passes.solve.multipliers import priced, rows
from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Bound, Problem, Room, Unit, Weights
from autoglmc.passes.solve.relaxed_model import relaxed_search
from autoglmc.passes.solve.solve import GAP, Solution, solve
from autoglmc.passes.solve.stage_model import search


def cost(solution: Solution | None) -> float:
    return float("inf") if solution is None else solution.price.cost


@settings(max_examples=150, deadline=None)
@given(limited())
def test_the_answer_is_the_best_of_all_plans_within_the_limits(problem: Problem) -> None:
    solution = solve(problem, [[0] * len(problem.units)])
    least = best(problem)
    assert cost(solution) == pytest.approx(least, rel=2 * GAP, abs=2e-8)
    assert solution is None or solution.lower_bound <= least * (1 + 1e-6) + 1e-8


@settings(max_examples=200, deadline=None)
@given(in_forms())
def test_forms_and_devices_are_chosen_together(problem: Problem) -> None:
    solution = solve(problem, [[0] * len(problem.units)])
    least = best(problem)
    assert cost(solution) == pytest.approx(least, rel=2 * GAP, abs=2e-8)
    assert solution is None or solution.lower_bound <= least * (1 + 1e-6) + 1e-8


@settings(max_examples=80, deadline=None)
@given(limited() | in_forms(), st.integers(0, 2**5 - 1))
def test_ways_of_the_host_are_chosen_among_too(problem: Problem, staying: int) -> None:
    """Units that only the host runs, all of them or some: its plans differ in their options alone."""
    units = tuple(_on_the_host(problem, unit) if staying >> k & 1 or staying % 3 == 0 else unit for k, unit in enumerate(problem.units))
    problem = replace(problem, units=units)
    solution, least = solve(problem, []), best(problem)
    assert cost(solution) == pytest.approx(least, rel=2 * GAP, abs=2e-8)
    assert solution is None or solution.lower_bound <= least * (1 + 1e-6) + 1e-8


def _on_the_host(problem: Problem, unit: Unit) -> Unit:
    if unit.seconds[problem.host] is None:
        return unit
    seconds = tuple(s if d == problem.host else None for d, s in enumerate(unit.seconds))
    return replace(unit, seconds=seconds, options=tuple(on if d == problem.host else () for d, on in enumerate(unit.options)))


@settings(max_examples=100, deadline=None)
@given(in_forms(most=3))
def test_the_model_itself_knows_forms(problem: Problem) -> None:
    """Without the plans that are enumerated or known before."""
    found, least = search(problem, None, len(problem.units), 5.0), best(problem)
    if not found.assignment:
        assert least == float("inf")
        return
    plan = price(problem, found.assignment, found.options)
    assert found.proven and plan is not None
    assert plan.cost == pytest.approx(least, rel=2 * GAP, abs=2e-8)
    assert found.bound == pytest.approx(least, rel=2 * GAP, abs=2e-8)


@settings(max_examples=80, deadline=None)
@given(limited(), st.integers(0, 9))
def test_a_tighter_limit_never_helps(problem: Problem, tenths: int) -> None:
    tighter = replace(
        problem,
        bounds=tuple(replace(b, most=b.most * (1 - tenths / 20)) for b in problem.bounds),
        rooms=tuple(replace(r, bytes=r.bytes * (20 - tenths) // 20) for r in problem.rooms),
        most_in_all=problem.most_in_all and max(1, problem.most_in_all - tenths % 2),
    )
    assert cost(solve(tighter, [])) >= cost(solve(problem, [])) * (1 - 2 * GAP) - 2e-8


@settings(max_examples=80, deadline=None)
@given(limited())
def test_what_the_relaxation_cannot_do_no_plan_can(problem: Problem) -> None:
    relaxed, least = relaxed_search(problem, 0.5), best(problem)
    assert not (relaxed.infeasible and least < float("inf"))
    assert relaxed.infeasible or relaxed.bound <= least + 2e-8


@settings(max_examples=40, deadline=None)
@given(limited(most=4) | limited(most=7, options=False), st.sampled_from([1e-6, 1e-4, 0.5]))
def test_the_gap_is_true_however_short_the_search(problem: Problem, seconds: float) -> None:
    """No plan costs less than the bound, and the plan keeps every limit, proven or not."""
    solution, least = solve(problem, [[0] * len(problem.units)], seconds), best(problem)
    if solution is None:
        return
    assert solution.lower_bound <= least * (1 + 2 * GAP) + 2e-8
    assert solution.price.cost * (1 - solution.gap) <= least * (1 + 2 * GAP) + 2e-8 or solution.visits is not None
    assert solution.price.cost >= least - 2e-8
    again = price(problem, solution.assignment, solution.options or None)
    assert again is not None
    assert again.cost == pytest.approx(solution.price.cost)


@settings(max_examples=60, deadline=None)
@given(limited(), st.lists(st.integers(0, 40), min_size=6, max_size=6))
def test_with_any_prices_on_the_limits_no_plan_within_them_costs_less(problem: Problem, tenths: list[int]) -> None:
    least, limits = best(problem), rows(problem)
    scale = [max(row.most, MICRO) for row in limits]
    prices = [40 * MICRO * t / 10 / s for t, s in zip(tenths, scale, strict=False)]
    paid = priced(problem, limits, prices)
    alone = best(paid.problem)
    assert alone - paid.less <= least * (1 + 1e-6) + 2e-8


def test_average_power_that_idling_would_lower() -> None:
    """More segments would lower it: a plan gets none that it does not need."""
    unit = Unit("u", (10 * MICRO, 4 * MICRO))
    watts = Weights((1.0, 5.0), 0.5)
    average = Bound("power", Weights(tuple(w - 4.0 for w in watts.busy), watts.handoff - 4.0), 0.0)
    problem = Problem(("cpu", "npu"), 0, (1 * MICRO, 1 * MICRO), (unit,), (), bounds=(average,))
    solution = solve(problem, [])
    assert solution is not None
    assert solution.assignment == (0,)


def test_limits_where_nothing_costs_anything() -> None:
    units = tuple(Unit(f"u{k}", (0.0, 0.0), 2) for k in range(3))
    solution = solve(Problem(("cpu", "npu"), 0, (0.0, 0.0), units, (), (Room("flash", (0,), 3), Room("sram", (1,), 4))), [])
    assert solution is not None
    assert solution.price.cost == 0
