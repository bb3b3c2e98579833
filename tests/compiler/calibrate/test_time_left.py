"""How long a measurement still takes: right where all is as planned, and soon right where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.calibrate.measure.time_left import TimeLeft


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


FACTORS = st.floats(0.1, 20.0)


@given(st.integers(1, 30), st.integers(1, 30), FACTORS, FACTORS)
def test_what_is_left_follows_each_stage(first: int, second: int, slow: float, slower: float) -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.plan("kernels", first * 2.0)
    left.plan("models", second * 5.0)
    assert left.seconds is None and str(left) == ""
    left.begin()
    for number in range(first):
        clock.now += 2.0 * slow
        left.done("kernels", 2.0)
        expected = (first - number - 1) * 2.0 * slow + second * 5.0 * slow
        assert left.seconds == pytest.approx(expected, abs=1e-6), "models are assumed to be as slow"
    clock.now += 500.0  # what is in no stage counts for none
    left.begin()
    for number in range(second):
        clock.now += 5.0 * slower
        left.done("models", 5.0)
        assert left.seconds == pytest.approx((second - number - 1) * 5.0 * slower, abs=1e-6)


def test_work_that_nobody_planned_is_never_less_than_none() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    for _ in range(3):
        clock.now += 1.0
        left.done("again", 1.0)
        assert left.seconds == 0.0 and str(left) == ", about 1 s left"
