"""How sure a mean over samples is: the percentile bootstrap (Efron 1979). Differences of pairs give a paired one."""

from __future__ import annotations

from collections.abc import Sequence

CONFIDENCE = 0.95
RESAMPLES = 2000
AT_ONCE = 1 << 22
"""Numbers drawn at once."""


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Of the mean, 95 %, the same for the same values; None of fewer than two."""
    import numpy as np

    given = np.asarray(values, np.float64)
    if given.size < 2:
        return None
    random, means, step = np.random.default_rng(0), [], max(1, AT_ONCE // given.size)
    for begin in range(0, RESAMPLES, step):
        drawn = random.integers(given.size, size=(min(step, RESAMPLES - begin), given.size))
        means.append(given[drawn].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
