"""Two numbers that a message sets side by side read differently exactly when they differ, in their order, with no digit too many."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from autoglmc.compiler.differing_digits import LEAST, differing

NUMBERS = st.floats(allow_nan=False)


@given(NUMBERS, NUMBERS)
@example(1.0, math.nextafter(1.0, 2.0))
@example(0.0, -0.0)
@example(math.inf, -math.inf)
@example(5e-324, 1e-323)
def test_texts_differ_as_the_numbers_do(first: float, second: float) -> None:
    left, right = differing(first, second)
    assert (left == right) == (first == second)
    assert (float(left) < float(right)) == (first < second)


@given(NUMBERS, st.integers(-1000, 1000))
def test_neighbours_differ_too(number: float, steps: int) -> None:
    other = number
    for _ in range(abs(steps) % 3 + 1):
        other = math.nextafter(other, math.copysign(math.inf, steps))
    left, right = differing(number, other)
    assert (left == right) == (number == other)


@given(NUMBERS, NUMBERS)
def test_one_digit_less_would_not_tell_them_apart(first: float, second: float) -> None:
    left, right = differing(first, second)
    digits = next(d for d in range(LEAST, 18) if f"{first + 0.0:.{d}g}" == left and f"{second + 0.0:.{d}g}" == right)
    assert digits == LEAST or f"{first:.{digits - 1}g}" == f"{second:.{digits - 1}g}"


def test_a_cosine_just_below_its_limit_reads_as_such() -> None:
    assert differing(0.9999892, 0.99999) == ("0.999989", "0.99999")
    assert differing(1.0000004, 1.0) == ("1.0000004", "1")
    assert differing(0.5, 0.99) == ("0.5", "0.99")
    assert differing(math.nan, 1.0) == ("nan", "1") and differing(math.nan, math.nan) == ("nan", "nan")
