"""The time of pieces that overlap, its bounds and its solver, against every plan of small problems."""

from __future__ import annotations

from itertools import product

import pytest
from breadth import examples
from hypothesis import assume, given, settings
from overlap_problems import overlap_problems, problems_with_options
from overlapped_pieces import all_orders, run
from placement_problems import problems

from autoglmc.passes.solve.overlap.anneal import anneal
from autoglmc.passes.solve.overlap.bounds import earliest_ends, load_bound, path_bound
from autoglmc.passes.solve.overlap.relaxed_bound import relaxed_bound
from autoglmc.passes.solve.overlap.slots import INFINITE, Place, Slots, timeline
from autoglmc.passes.solve.overlap.solve_overlap import solve_latency, solve_throughput
from autoglmc.passes.solve.partition import Piece
from autoglmc.passes.solve.problem import Net, Option, Problem, Unit
from autoglmc.passes.solve.solve import GAP, solve


@settings(max_examples=examples(30, 60))
@given(overlap_problems())
def test_every_cut_and_order_takes_what_one_piece_after_the_other_says(problem: Problem) -> None:
    for order in all_orders(problem):
        found, expected = timeline(problem, [Piece(device, tuple(sorted(units))) for device, units in order]), run(problem, order)
        if expected is None:
            continue
        assert found is not None
        assert found.seconds == pytest.approx(expected.makespan)
        assert found.seconds <= expected.total * (1 + 1e-9)
        assert sorted(unit for each in found.runs for unit in each.piece.units) == list(range(len(problem.units)))


@settings(max_examples=examples(12, 30))
@given(overlap_problems(parallel=False))
def test_latency_and_period_are_the_least_of_all_cuts_and_orders(problem: Problem) -> None:
    plans = [found for order in all_orders(problem) if (found := run(problem, order)) is not None]
    latency, throughput = solve_latency(problem, []), solve_throughput(problem, [])
    assert latency is not None
    assert throughput is not None
    for solution, best in ((latency, min(plan.makespan for plan in plans)), (throughput, min(plan.period for plan in plans))):
        assert solution.price.cost == pytest.approx(best, rel=1.01 * GAP, abs=1e-9)
        assert solution.proven
        assert solution.lower_bound <= best * (1 + 1e-9)
        order = tuple((piece.device, frozenset(piece.units)) for piece in solution.price.pieces)
        again = run(problem, order)
        assert again is not None
        assert solution.price.cost == pytest.approx(again.makespan if solution is latency else again.period)
        assert solution.price.total == pytest.approx(again.total)


@settings(max_examples=examples(12, 25))
@given(problems_with_options())
def test_options_are_chosen_within_the_allowed_error(problem: Problem) -> None:
    best = {"latency": INFINITE, "period": INFINITE}
    for order in all_orders(problem):
        device_of = {unit: device for device, units in order for unit in units}
        rows = [problem.units[u].options[device_of[u]] for u in range(len(problem.units))]
        for options in product(*(range(len(row)) for row in rows)):
            assert problem.most_error is not None
            if sum(row[k].error for row, k in zip(rows, options, strict=True)) <= problem.most_error:
                found = run(problem, order, options)
                if found is not None:
                    best = {"latency": min(best["latency"], found.makespan), "period": min(best["period"], found.period)}
    assume(best["latency"] < INFINITE)
    for solver, expected in ((solve_latency, best["latency"]), (solve_throughput, best["period"])):
        solution = solver(problem, [])
        assert solution is not None
        assert solution.price.cost == pytest.approx(expected, rel=1.01 * GAP, abs=1e-9)


@settings(max_examples=examples(30, 60))
@given(overlap_problems())
def test_no_plan_beats_the_bounds(problem: Problem) -> None:
    path, load, ends = path_bound(problem), load_bound(problem), earliest_ends(problem)
    upper = sum(max(s for s in unit.seconds if s is not None) for unit in problem.units) + 1e-3
    latency, period = relaxed_bound(problem, upper, True, 1.0), relaxed_bound(problem, upper, False, 1.0)
    assert latency >= path * (1 - 1e-4)
    for order in all_orders(problem):
        plan = run(problem, order)
        if plan is None:
            continue
        assert max(path, load, latency) <= plan.makespan * (1 + 1e-9)
        assert max(load, period) <= plan.period * (1 + 1e-9)
        found = timeline(problem, [Piece(device, tuple(sorted(units))) for device, units in order])
        assert found is not None
        assert all(ends[u][each.piece.device] <= each.end * (1 + 1e-9) for each in found.runs for u in each.piece.units)


@settings(max_examples=15)
@given(problems(most=12, devices=3))
def test_overlap_is_never_above_the_least_sum_of_times(problem: Problem) -> None:
    plain = solve(problem, [])
    assert plain is not None
    latency, throughput = solve_latency(problem, [], 0.05), solve_throughput(problem, [], 0.05)
    assert latency is not None
    assert throughput is not None
    assert throughput.price.cost <= latency.price.cost * (1 + 1e-9)
    assert latency.price.cost <= plain.price.total * (1 + 1e-9)


@settings(max_examples=20)
@given(problems(most=10, devices=3))
def test_annealing_never_loses_what_it_starts_from_and_repeats_itself(problem: Problem) -> None:
    slots = Slots(problem, [2, 2, 2])
    start = Place(tuple(slots.slot(u, 0) for u in range(len(problem.units))), (0,) * len(problem.units))
    seconds, place = anneal(slots, slots.seconds, start, 300, 1)
    assert seconds == slots.seconds(place) <= slots.seconds(start)
    assert (seconds, place) == anneal(slots, slots.seconds, start, 300, 1)


def test_pieces_that_wait_for_each_other_take_for_ever() -> None:
    free = ((0.0, 0.0), (0.0, 0.0))
    units = tuple(Unit(f"u{k}", (1e-6, 1e-6)) for k in range(3))
    nets = tuple(Net(f"t{k}", k, (k + 1,), False, free) for k in range(2))
    problem = Problem(("cpu", "npu"), 0, (0.0, 0.0), units, nets)
    assert timeline(problem, [Piece(0, (0, 2)), Piece(1, (1,))]) is None
    assert timeline(problem, [Piece(0, (0,)), Piece(1, (1,)), Piece(0, (2,))]) is not None


def test_two_branches_run_at_once() -> None:
    free = ((0.0, 0.0), (0.0, 0.0))
    units = (Unit("a", (1e-3, 1e-3)), Unit("left", (5e-3, 4e-3)), Unit("right", (5e-3, 4e-3)), Unit("b", (1e-3, 1e-3)))
    nets = (Net("x", 0, (1, 2), False, free), Net("l", 1, (3,), False, free), Net("r", 2, (3,), False, free))
    problem = Problem(("cpu", "npu"), 0, (0.0, 0.0), units, nets)
    plain, latency, throughput = solve(problem, []), solve_latency(problem, []), solve_throughput(problem, [])
    assert plain is not None
    assert latency is not None
    assert throughput is not None
    assert plain.price.total == pytest.approx(10e-3)
    assert latency.price.cost == pytest.approx(7e-3)
    assert throughput.price.cost == pytest.approx(6e-3)
    assert latency.proven
    assert throughput.proven


def test_limits_of_every_kind_hold_with_overlap() -> None:
    quick = (Option(1e-3, 2.0), Option(2e-3, 0.0))
    units = tuple(Unit(f"u{k}", (5e-3, 1e-3), options=((Option(5e-3),), quick)) for k in range(4))
    problem = Problem(("cpu", "npu"), 0, (0.0, 0.0), units, (), most_error=4.0, most_in_all=1)
    latency = solve_latency(problem, [])
    assert latency is not None
    assert latency.price.cost == pytest.approx(6e-3)
    assert latency.price.error == 4.0
    assert len(latency.price.pieces) == 1
