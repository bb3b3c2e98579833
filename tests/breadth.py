"""How much a usual run takes of what has very many cases: `make test-wide` takes all of it."""

from __future__ import annotations

import os
from collections.abc import Sequence

WIDE = os.environ.get("AUTOGLMC_WIDE") == "1"


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
