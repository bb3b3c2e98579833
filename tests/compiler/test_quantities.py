"""Numbers in words: units, digits, and that limits are rounded to their safe side."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.quantities import amount, change, count, margin, percent, reach, size, time, times

COMPILER = Path(__file__).parents[2] / "compiler"
SCALE = {"ms": 1e-3, "W": 1.0, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def test_counts() -> None:
    assert [count(number, "segment") for number in (0, 1, 2)] == ["0 segments", "1 segment", "2 segments"]
    assert count(3, "pass") == "3 passes"
    assert [count(2, noun) for noun in ("entry", "key")] == ["2 entries", "2 keys"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.00 GiB"), (-1536, "-1.5 KiB")]
)
def test_sizes(value: float, text: str) -> None:
    assert size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 us"), (4e-7, "0.4 us"), (9.96e-6, "10.0 us"), (365e-6, "365 us"), (0.0123, "12.30 ms"), (2, "2.00 s"), (-3e-3, "-3.00 ms")],
)
def test_times(seconds: float, text: str) -> None:
    assert time(seconds) == text


def test_a_change_has_a_sign() -> None:
    assert [change(seconds) for seconds in (3e-6, -3e-3, 0.0)] == ["+3.0 us", "-3.00 ms", "+0 us"]


@given(st.floats(1e-6, 10), st.floats(-0.5, 0.5))
def test_two_times_differ_in_their_digits_where_they_do(first: float, by: float) -> None:
    second = first * (1 + by)
    texts = times(first, second)
    assert (texts[0] == texts[1]) == (first * 1e3 == second * 1e3)
    assert float(texts[0].split()[0]) * 1e-3 == pytest.approx(first, rel=5e-3)


@pytest.mark.parametrize("kind", ["latency", "power", "memory"])
@given(value=st.floats(1e-7, 1e9))
def test_what_is_named_is_enough(kind: str, value: float) -> None:
    value = float(int(value)) if kind == "memory" else value
    number, unit = amount(kind, value).split()
    scale = SCALE[unit]
    assert value <= float(number) * scale <= value * 1.002 + 2


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("budget", 8 * 2**30 - 933 * 1024, "7.999 GiB"),
        ("budget", 2.0**30, "1 GiB"),
        ("latency", 0.0491099, "49.1 ms"),
        ("latency", -0.0012, "-1.2 ms"),
        ("accuracy", 0.01, "0.01"),
    ],
)
def test_a_margin_is_rounded_down(kind: str, value: float, text: str) -> None:
    assert margin(kind, value) == text


@pytest.mark.parametrize("way", [r"\* ?1e[369]:", r"\* ?1000:", r"/ ?1024", r"'s' if ", r"else 's'\}", r">> (10|20|30)\b.*[KMG]iB"])
def test_no_other_file_formats_quantities(way: str) -> None:
    """Numbers in messages come from quantities.py: one spelling of a time, of bytes, of a plural."""
    files = [path for path in COMPILER.rglob("*.py") if path.name != "quantities.py"]
    assert len(files) > 100
    assert not [path.relative_to(COMPILER) for path in files if re.search(way, path.read_text("utf-8"))]


@pytest.mark.parametrize(("share", "text"), [(0.18, "±18 %"), (0.0451, "±4.5 %"), (5.0, "±500 %"), (0.0, "±0 %"), (0.0996, "±10 %")])
def test_the_reach_of_an_interval(share: float, text: str) -> None:
    assert reach(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.0004, "less than 0.1 %"), (0.031, "3.1 %"), (0.104, "10.4 %"), (0.12, "12 %"), (1.0, "100 %")],
)
def test_shares_have_the_digits_that_matter(share: float, text: str) -> None:
    assert percent(share) == text
