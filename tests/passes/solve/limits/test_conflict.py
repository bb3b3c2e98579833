"""Limits that contradict each other: the set that is named is minimal, and the least of each is what brute force needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from limited_problems import best, limited

from autoglmc.passes.solve.limits.conflict import CLOSE, conflict, least
from autoglmc.passes.solve.limits.limit_rows import limit_names, whole_numbers, with_limit, without
from autoglmc.passes.solve.problem import Bound, Problem, Unit

INFINITE = float("inf")


@settings(max_examples=60, deadline=None)
@given(limited(most=4))
def test_the_named_limits_conflict_and_fewer_do_not(problem: Problem) -> None:
    assume(best(problem) == INFINITE and best(problem.without_limits()) < INFINITE)
    clash = conflict(problem, 0.1)
    others = [name for name in limit_names(problem) if name not in clash.limits]
    core = without(problem, others)
    assert clash.limits and best(core) == INFINITE
    assert all(best(without(core, [name])) < INFINITE for name in clash.limits)


@settings(max_examples=60, deadline=None)
@given(limited(most=4))
def test_the_least_of_a_limit_is_enough_and_less_is_not(problem: Problem) -> None:
    assume(limit_names(problem))
    problem = replace(problem, objective=None)
    for name in limit_names(problem):
        found = least(problem, name, [], 0.1)
        if found is None:
            assert best(without(problem, [name])) == INFINITE
            continue
        whole = whole_numbers(problem, name)
        assert best(with_limit(problem, name, found.value * (1 + 1e-6) + (0 if whole else 1e-8))) < INFINITE
        assert found.bound <= found.value * (1 + 1e-6)
        below = found.value - 1 if whole and found.value * CLOSE < 1 else found.value * (1 - 2 * CLOSE) - 4e-8
        if found.proven and below >= 0:
            assert best(with_limit(problem, name, below)) == INFINITE


def test_a_problem_within_its_limits_has_no_minimal_conflict() -> None:

    problem = Problem(("cpu",), 0, (0.0,), (Unit("u", (1.0,)),), ())
    bounded = replace(problem, bounds=(Bound("latency", problem.time, 2.0), Bound("energy", problem.time, 0.5)))
    assert conflict(bounded, 0.1).limits == ("energy",)
    found = least(bounded, "energy", [], 0.1)
    assert found is not None and found.value == pytest.approx(1.0)
