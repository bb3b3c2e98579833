"""Units: written and read back, and one number in two units is one number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.text.syntax import Statement, read
from autoglmc.grammar.words.reader import Reader, Report, exactly
from autoglmc.grammar.words.units import ALL_UNITS, DIMENSIONS, EXAMPLES, written

UNITS = [(dimension, unit) for dimension, units in DIMENSIONS.items() for unit in units]
DIGITS = st.one_of(
    st.integers(1, 10**12).map(str),
    st.tuples(st.integers(0, 10**6), st.integers(1, 999)).map(lambda n: f"{n[0]}.{n[1]:03}"),
    st.tuples(st.integers(1, 99), st.integers(-9, 9)).map(lambda n: f"{n[0]}e{n[1]}"),
)


def value_of(text: str, dimension: str) -> float:
    statement = read(Source("u.hw", f"x {text};")).items[0]
    assert isinstance(statement, Statement)
    report = Report()
    quantity = Reader(statement, report).take_number(dimension)
    assert quantity is not None and not report.found, [found.message for found in report.found]
    assert quantity.text == text
    return quantity.value


@given(st.sampled_from(UNITS), DIGITS)
def test_text_to_value_to_text_to_value(unit: tuple[str, str], digits: str) -> None:
    dimension, name = unit
    value = value_of(f"{digits} {name}", dimension)
    again = written(value, dimension)
    assert value_of(again, dimension) == value, again


@given(st.sampled_from(sorted(set(DIMENSIONS) - {"plain number"})), st.floats(1e-12, 1e18))
def test_value_to_text_to_value(dimension: str, value: float) -> None:
    assert value_of(written(value, dimension), dimension) == value


MULTIPLES = [
    (dimension, one, other, int(size / units[other]))
    for dimension, units in DIMENSIONS.items()
    for one, size in units.items()
    for other in units
    if size >= units[other] and size / units[other] == int(size / units[other])
]


@given(st.sampled_from(MULTIPLES), st.integers(1, 10**6))
def test_one_number_in_two_units(units: tuple[str, str, str, int], count: int) -> None:
    dimension, one, other, ratio = units
    assert value_of(f"{count} {one}", dimension) == value_of(f"{count * ratio} {other}", dimension)


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (6 * 2**30, "size", "6 GiB"),
        (1536 * 2**20, "size", "1.5 GiB"),
        (64, "size", "64 B"),
        (51.2e9, "bandwidth", "51.2 GB/s"),
        (17e12, "rate of operations", "17 TOPS"),
        (exactly("150", 1e-6), "time", "150 us"),
        (0.012, "time", "12 ms"),
        (0.25, "power", "0.25 W"),
        (0.6, "share", "60 %"),
        (5, "plain number", "5"),
    ],
)
def test_written_as_a_person_would(value: float, dimension: str, text: str) -> None:
    assert written(value, dimension) == text


def test_no_unit_is_of_two_dimensions() -> None:
    assert len(ALL_UNITS) == sum(map(len, DIMENSIONS.values())) and set(EXAMPLES) == set(DIMENSIONS)
