"""Two runtimes on the models that both measured: are predictions of the one as good as those of the other? For benchmarks/prediction.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from prediction_judge import Prediction

from autoglmc.compiler.calibrate.records import Measurement

POINTS = 0.05
"""By how much the shares of one runtime may be below those of the other."""
DRAWS = 2000


def in_both(one: Measurement, other: Measurement) -> tuple[Measurement, Measurement]:
    """Each without the models that the other does not have whole: one that a runtime runs in parts is not the same model there. The kernels
    of the grid stay: a runtime is fitted to what it has."""
    common = {s.case for s in one.segments if not s.single} & {s.case for s in other.segments if not s.single}

    def restricted(found: Measurement) -> Measurement:
        return replace(found, segments=tuple(s for s in found.segments if s.single or s.case in common))

    return restricted(one), restricted(other)


def beside(names: Sequence[str], found: Sequence[Sequence[Prediction]], bounds: Sequence[float]) -> int:
    """Prints the shares of both; 1 where those of the first are more than POINTS below."""
    print(f"{len({p.case for p in found[0]})} models of {len({p.network for p in found[0]})} networks were measured whole by both")
    below = False
    for bound, (apart, low, high) in compared(found[0], found[1], bounds).items():
        shares = ", ".join(f"{name} {np.mean([p.error <= bound for p in made]):.1%}" for name, made in zip(names, found, strict=True))
        below |= apart < -POINTS
        print(f"within {bound:.0%}: {shares}; {100 * apart:+.1f} points (bootstrap {100 * low:+.0f}..{100 * high:+.0f})")
    print(f"{names[0]} is {'more than' if below else 'not more than'} {100 * POINTS:.0f} points below {names[1]}")
    return int(below)


def compared(one: Sequence[Prediction], other: Sequence[Prediction], bounds: Sequence[float]) -> Mapping[float, tuple[float, float, float]]:
    """By error: how much larger the share of `one` within it is, and the 90 % interval of that, networks drawn with replacement, the same
    for both: a network that is hard for either is not what the two differ by."""
    names = sorted({p.network for p in one} & {p.network for p in other})
    picks = np.random.default_rng(7).integers(0, len(names), (DRAWS, len(names)))
    found = {}
    for bound in bounds:
        shares = [_by_network(predictions, names, bound) for predictions in (one, other)]
        drawn = [hits[picks].sum(axis=1) / counts[picks].sum(axis=1) for hits, counts in shares]
        low, high = np.quantile(drawn[0] - drawn[1], (0.05, 0.95))
        apart = shares[0][0].sum() / shares[0][1].sum() - shares[1][0].sum() / shares[1][1].sum()
        found[bound] = (float(apart), float(low), float(high))
    return found


def _by_network(predictions: Sequence[Prediction], names: Sequence[str], bound: float) -> tuple[np.ndarray, np.ndarray]:
    """(Predictions within the bound, all of them) of each network."""
    within = {name: [p.error <= bound for p in predictions if p.network == name] for name in names}
    return np.array([sum(hits) for hits in within.values()], float), np.array([len(hits) for hits in within.values()], float)
