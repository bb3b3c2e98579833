"""How much of each group goes: a share of its sets of channels, those of the smallest magnitude."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...passes.prune.groups import Group
from ...passes.prune.remove import emptied
from ...passes.prune.spread import Spread

STEP = 8
"""Channels that kernels compute at once (8 floats of AVX2, 16 halves of NEON, 8 integers of a Hexagon's lane): where a layer has a multiple
of it, a multiple is kept."""


def gone(spread: Spread, groups: Sequence[Group], rates: Sequence[float]) -> np.ndarray:
    """The sets that go, by rates of the groups. Of no axis everything goes."""
    found = np.concatenate([*(_smallest(group, rate) for group, rate in zip(groups, rates, strict=True)), np.array([], np.int64)])
    magnitude = {int(root): float(size) for group in groups for root, size in zip(group.roots, group.magnitude, strict=True)}
    while empty := emptied(spread, found.tolist()):
        spared = max(empty[0], key=lambda root: (magnitude.get(root, 0.0), -root))
        found = found[found != spared]
    return found


def number_gone(group: Group, rate: float) -> int:
    """How many sets, rounded so that a multiple of STEP channels stays."""
    sets = len(group.roots)
    step = STEP // group.width if STEP % group.width == 0 else 1
    left = sets - int(rate * sets + 1e-9)
    if group.channels == sets * group.width and sets % step == 0 and sets > step:
        left = -(-left // step) * step
    return sets - max(1, left)


def _smallest(group: Group, rate: float) -> np.ndarray:
    order = np.argsort(group.magnitude, kind="stable")
    return np.sort(group.roots[order[: number_gone(group, rate)]])
