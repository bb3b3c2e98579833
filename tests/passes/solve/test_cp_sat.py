"""Small models solved exactly, checked against all assignments."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.passes.solve.cp_sat import FALSE, TRUE, Model, Sum

VARIABLES = 4
LITERALS = st.sampled_from([*range(1, VARIABLES + 1), *(~k for k in range(1, VARIABLES + 1)), TRUE, FALSE])
SUMS = st.lists(st.tuples(LITERALS, st.integers(-9, 9)), max_size=6)


def build(terms: list[tuple[int, int]]) -> Sum:
    expression = Sum()
    for literal, coefficient in terms:
        expression.add(literal, coefficient)
    return expression


def holds(literal: int, values: tuple[bool, ...]) -> bool:
    return values[literal] if literal >= 0 else not values[~literal]


def total(terms: list[tuple[int, int]], values: tuple[bool, ...]) -> int:
    return sum(coefficient for literal, coefficient in terms if holds(literal, values))


@settings(max_examples=60)
@given(SUMS, SUMS, SUMS, st.integers(-9, 9), st.lists(st.lists(LITERALS, min_size=1, max_size=3), max_size=3))
def test_the_optimum_of_all_assignments(
    goal: list[tuple[int, int]], low: list[tuple[int, int]], high: list[tuple[int, int]], edge: int, clauses: list[list[int]]
) -> None:
    model = Model()
    assert [model.boolean() for _ in range(VARIABLES)] == list(range(1, VARIABLES + 1))
    model.at_least(build(low), edge)
    model.at_most(build(high), edge)
    for clause in clauses:
        model.at_least_one(*clause)
    model.minimise(build(goal))
    every = [(True, *values) for values in product((False, True), repeat=VARIABLES)]
    fit = [v for v in every if total(low, v) >= edge >= total(high, v) and all(any(holds(x, v) for x in c) for c in clauses)]
    answer = model.solve(1.0)
    if not fit:
        assert answer is None
        return
    assert answer is not None and answer.proven
    best = min(total(goal, values) for values in fit)
    assert answer.values in fit
    assert answer.value(build(goal)) == best == pytest.approx(answer.bound)


def test_an_implication_and_a_hint() -> None:
    model = Model()
    a, b = model.boolean(), model.boolean()
    model.implies(a, b)
    model.minimise(Sum([a], -3).plus(Sum([b], 2)))
    model.hint({a: True, b: True})
    answer = model.solve(1.0)
    assert answer is not None
    assert answer.values == (True, True, True)


INTERRUPTED = """
import os, signal
from autoglmc.passes.solve.cp_sat import Model, Sum
model = Model()
x = model.boolean()
goal = Sum()
goal.add(x, 1)
model.minimise(goal)
assert model.solve(1.0) is not None
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_reaches_python_after_a_search() -> None:
    """OR-tools would install a handler of its own and leave SIGINT at the system's default, which kills the process."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
