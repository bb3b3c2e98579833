"""What a usual run leaves out, it leaves out of no list whole."""

from __future__ import annotations

import breadth
import pytest
from breadth import covering
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breadth, "WIDE", False)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3))
def test_each_of_both_lists_occurs(first: int, second: int, turns: int) -> None:
    pairs = covering([f"a{k}" for k in range(first)], [f"b{k}" for k in range(second)], turns)
    assert len({a for a, _ in pairs}) == first and len({b for _, b in pairs}) == second
    assert len(pairs) == len(set(pairs)) <= turns * max(first, second)
    assert min(sum(a == one for a, _ in pairs) for one, _ in pairs) >= min(turns, second)


def test_a_wide_run_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breadth, "WIDE", True)
    assert len(covering("abc", "defg")) == 12


def test_long_rows_are_skipped_with_a_reason_and_never_all_of_them() -> None:
    rows = breadth.long([("a", 1), ("b", 2)], [("b", 2)])
    assert [row.values for row in rows] == [("a", 1), ("b", 2)]
    assert [bool(row.marks) for row in rows] == [False, True]
    with pytest.raises(ValueError, match="none of the rows"):
        breadth.long(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="would have none"):
        breadth.long(["a"], ["a"])
