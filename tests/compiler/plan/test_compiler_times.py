"""What a runtime's compiler says of a segment, shared out among the nodes that it was made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.devices.adapter import CompilerReport
from autoglmc.compiler.devices.ethos_u.configuration import configuration, rounded_arena
from autoglmc.compiler.plan.compilers.times import shared_out

WRITER = {"a": 3, "b": 5, "c.d": 8}
NAMES = st.sampled_from(["a", "b", "c.d", "a.transposed", "c.d.1.reshaped", "#92", "other", ""])


def report(*operators: tuple[str, float], seconds: float = 6.0) -> CompilerReport:
    return CompilerReport(seconds=seconds, peak_bytes=0, operators=operators)


@given(st.lists(st.tuples(NAMES, st.floats(0, 1e3))), st.floats(1e-9, 1e3))
def test_nothing_is_lost(operators: list[tuple[str, float]], seconds: float) -> None:
    found = shared_out(report(*operators, seconds=seconds), [3, 5, 8], WRITER)
    assert set(found) == {3, 5, 8} and min(found.values()) >= 0
    assert sum(found.values()) == pytest.approx(seconds)


def test_what_has_no_name_of_ours_counts_for_what_follows_it() -> None:
    found = shared_out(
        report(("#92", 1.0), ("a", 1.0), ("x.transposed", 1.0), ("b.2", 2.0), ("c.d.reshaped", 0.0), ("rest", 1.0)), [3, 5, 8], WRITER
    )
    assert found == {3: 2.0, 5: 3.0, 8: 1.0}


def test_seconds_are_scaled_to_those_of_the_segment() -> None:
    assert shared_out(report(("a", 1.0), ("b", 3.0), seconds=8.0), [3, 5], WRITER) == {3: 2.0, 5: 6.0}


@given(st.integers(1024, 1 << 33))
def test_a_board_is_told_no_more_than_it_has_and_nearly_all(size: int) -> None:
    assert size * 15 / 16 < rounded_arena(size) <= size
    assert rounded_arena(rounded_arena(size)) == rounded_arena(size)


def test_words_of_an_arena_are_read_back() -> None:
    words = ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram", "arena", "65536")
    found = configuration(words)
    assert found is not None and found.words() == words and found.arguments()[-2:] == ["--arena-cache-size", "65536"]
