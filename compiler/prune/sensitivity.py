"""How far a model's outputs move where channels are removed: measured on calibration samples, against the model as it was.

The loss is that of `precision/losses.py`: the root mean square of the difference over that of the output, of the worst output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ...passes.graph.graph import Graph
from ...passes.prune.compensate import Moments, compensate
from ...passes.prune.groups import Group
from ...passes.prune.remove import remove
from ...passes.prune.spread import Spread
from ..activity import doing
from ..precision.accuracy import cosine
from ..precision.kept_ranges import keep_losses, kept_losses
from ..precision.losses import float_outputs, loss_of, outputs_of
from ..precision.plain_model import plain_model
from .rates import gone, number_gone

LADDER = (0.125, 0.25, 0.5, 0.75)
"""Rates that a group's loss is measured at."""
SAMPLES = 16
"""Calibration samples that losses are measured on."""


@dataclass(frozen=True, slots=True)
class Judge:
    """What the model as it was computes on some samples."""

    graph: Graph
    spread: Spread
    samples: Sequence[Mapping[str, Any]]
    names: tuple[str, ...]
    expected: tuple[tuple[Any, ...], ...]
    moments: Mapping[str, Moments]
    """By which channels that stay stand in for those that go."""

    def loss(self, went: np.ndarray) -> float:
        return loss_of(self.expected, self._run(went))

    def cosine(self, went: np.ndarray) -> float:
        """The mean over samples of the least of the outputs, less its standard error: other samples may lose more than these."""
        with doing("measuring a choice of rates"):
            got = self._run(went)
        found = np.array([min(map(cosine, own, other)) for own, other in zip(self.expected, got, strict=True)])
        return float(found.mean() - (found.std(ddof=1) / len(found) ** 0.5 if len(found) > 1 else 0.0))

    def _run(self, went: np.ndarray) -> tuple[tuple[Any, ...], ...]:
        copy, _ = self.graph.copy()
        compensate(copy, self.spread, went, self.moments)
        remove(copy, self.spread, went.tolist())
        return outputs_of(plain_model(copy), self.samples, self.names)


def judge_of(graph: Graph, spread: Spread, samples: Iterable[Mapping[str, Any]], moments: Mapping[str, Moments]) -> Judge:
    """Runs the graph. Raises ModelError where it does not run."""
    kept, names = tuple(islice(samples, SAMPLES)), tuple(float_outputs(graph))
    return Judge(graph, spread, kept, names, outputs_of(plain_model(graph), kept, names), moments)


def sensitivities(judge: Judge, groups: Sequence[Group], most: float, key: str) -> list[dict[float, float]]:
    """Per group, losses by rate: up to the first that is above `most`, which no choice would take. They are kept under `key`."""
    kept, found = kept_losses(key), list[dict[float, float]]()
    for number, group in enumerate(groups, 1):
        found.append(_ladder(judge, group, most, kept, f"{number} of {len(groups)}"))
    keep_losses(key, kept)
    return found


def _ladder(judge: Judge, group: Group, most: float, kept: dict[str, float], place: str) -> dict[float, float]:
    found: dict[float, float] = {}
    seen: set[int] = set()
    for rate in LADDER:
        number = number_gone(group, rate)
        if number == 0 or number in seen:
            continue
        seen.add(number)
        name = f"{group.makers[0].node} {number}"
        if name not in kept:
            with doing(f"measuring what layers lose without some channels ({place})"):
                kept[name] = judge.loss(gone(judge.spread, (group,), (rate,)))
        if kept[name] > most:
            break
        found[rate] = kept[name]
    return found
