"""Means and differences of scores with intervals from paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLED, SEED = 4000, 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean or median and what holds 95 % of those of resampled data."""

    middle: float
    low: float
    high: float


def mean(scores: np.ndarray) -> Interval:
    """The mean of one score per sample."""
    middle, drawn = float(scores.mean()), scores[_drawn(len(scores))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(middle, float(low), float(high))


def difference(scores: np.ndarray, others: np.ndarray) -> Interval:
    """The mean of scores less others, sample by sample: both are resampled together."""
    if len(scores) != len(others):
        raise ValueError(f"{len(scores)} scores and {len(others)} are no pairs")
    return mean(scores - others)


def median(ratios: np.ndarray) -> Interval:
    """The median of paired ratios."""
    drawn = np.median(ratios[_drawn(len(ratios))], axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(np.median(ratios)), float(low), float(high))


def _drawn(count: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, count, (RESAMPLED, count), dtype=np.int32)
