"""How much a usual run takes of what has very many cases: `make test-wide` takes all of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

import pytest

WIDE = os.environ.get("AUTOGLMC_WIDE") == "1"


LONG = pytest.mark.skipif(not WIDE, reason="takes long: make test-wide runs it")
"""For a test of which others of its kind are in a usual run."""


def long(rows: Sequence[Any], which: Collection[Any]) -> list[Any]:
    """The rows of a parametrized test, of which some are for a wide run only. ValueError where that leaves none, or one is no row."""
    if missing := [one for one in which if one not in rows]:
        raise ValueError(f"none of the rows: {missing}")
    if all(row in which for row in rows):
        raise ValueError("a usual run would have none of the rows")
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=[LONG] if row in which else []) for row in rows]


def covering(first: Sequence[str], second: Sequence[str], turns: int = 1) -> list[tuple[str, str]]:
    """Pairs in which each of both lists occurs, at least `turns` times where the other list is long enough; all pairs in a wide run."""
    if WIDE:
        return [(a, b) for a in first for b in second]
    longest = range(max(len(first), len(second)))
    pairs = ((first[k % len(first)], second[(k + turn) % len(second)]) for turn in range(turns) for k in longest)
    return list(dict.fromkeys(pairs))


def examples(usual: int, wide: int) -> int:
    """How many examples a run looks at."""
    return wide if WIDE else usual
