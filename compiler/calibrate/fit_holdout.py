"""How well whole models are predicted that a fit did not see: random splits by network, and the interval that holds nine in ten."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...passes.place.confidence import MOST_OUTSIDE
from .fit_predict import Predicted
from .records import MeasuredSegment

if TYPE_CHECKING:
    from .fit_samples import Flags

SPLITS, TRAINING = 20, 0.6
FEW = 10
"""Below this many networks, each is left out once instead."""
INTERVAL = 0.9
SEED = 20261127


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One prediction of a model by a fit that had not seen its network."""

    segment: int
    measured: float
    predicted: float
    outside: float
    split: int

    @property
    def error(self) -> float:
        """(measured - predicted) / predicted: what the interval is about."""
        return self.measured / self.predicted - 1.0

    @property
    def refused(self) -> bool:
        return self.outside > MOST_OUTSIDE


def splits(networks: Sequence[str]) -> list[frozenset[str]]:
    """Networks to leave out, split by split: equal for equal names."""
    import random

    names = sorted(set(networks))
    if len(names) < FEW:
        return [frozenset({name}) for name in names] if len(names) > 1 else []
    source = random.Random(SEED)
    count = len(names) - round(TRAINING * len(names))
    return [frozenset(source.sample(names, count)) for _ in range(SPLITS)]


def hold_out(segments: Sequence[MeasuredSegment], predicted: Callable[[Flags], Predicted]) -> tuple[HeldOut, ...]:
    """`predicted(chosen)`: what a fit to the chosen segments predicts for all of them. Kernels of the grid are in every training set."""
    import numpy as np

    found = []
    for number, left_out in enumerate(splits([s.network for s in segments if not s.single and s.latency])):
        out = np.array([not s.single and s.network in left_out for s in segments], bool)
        result = predicted(~out)
        for index in np.flatnonzero(out):
            latency = segments[int(index)].latency
            if latency:
                found.append(HeldOut(int(index), latency, float(result.seconds[index]), float(result.outside[index]), number))
    return tuple(found)


def interval(held: Sequence[HeldOut]) -> float | None:
    """Half the width, as a share of the prediction, that 90 % of new models are within (split conformal; Lei et al., JASA 113(523), 2018):
    the error of rank ceil(0.9 (n + 1)) among those not refused, less the share that was outside: who predicts adds it back.
    None for fewer than nine."""
    scores = sorted(max(abs(one.error) - one.outside, 0.0) for one in held if not one.refused)
    rank = math.ceil(INTERVAL * (len(scores) + 1))
    return scores[rank - 1] if 0 < rank <= len(scores) else None


def share_within(held: Sequence[HeldOut], error: float) -> float:
    """The share of predictions whose error is at most that; refused ones count as any other."""
    return sum(abs(one.predicted / one.measured - 1.0) <= error for one in held) / len(held) if held else 0.0


def median_error(held: Sequence[HeldOut]) -> float | None:
    """Of the prediction, as a share of what was measured."""
    errors = sorted(abs(one.predicted / one.measured - 1.0) for one in held)
    return errors[len(errors) // 2] if errors else None
