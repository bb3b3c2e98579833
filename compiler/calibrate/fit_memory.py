"""Private memory of bundles to a model of it: base and factors of the weights to what is held once a bundle is loaded, the factor of its
tensors and the buffers of operators to what running it adds. Non-negative least squares of relative errors.

Operators get a number of their own one by one, each time the one that explains most, as long as it explains enough; if
none does, the model keeps its three numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...targets.calibration import MemoryModel
from ..plan.memory_needs import Needs, held_inside, held_weights
from .fit_buffers import GAIN, LEAST_NETWORKS, Running, fit_running, gain, misses
from .fit_lines import HERE, rounded

if TYPE_CHECKING:
    from .fit_buffers import Array

LEAST = 6
"""Bundles: three numbers are fitted."""
NETWORKS_A_NUMBER = 10
"""Networks measured for each operator that gets a number of its own."""
LEAST_SHARE = 0.05
"""Of the weights of a bundle, for an operator to show in it."""
MOST_WEIGHTS, MOST_BUFFERS = 3, 6


@dataclass(frozen=True, slots=True)
class MeasuredMemory:
    """Of one bundle: bytes that the plan knows of, and private bytes of the process that ran it."""

    case: str
    network: str
    needs: Needs
    arena: int
    loaded: int
    """Private bytes before the first run."""
    private: int
    """After runs."""

    @property
    def weights(self) -> int:
        return sum(size for _, size in self.needs.weights)


def fit_memory(measured: Sequence[MeasuredMemory]) -> MemoryModel | None:
    """None for fewer than six bundles."""
    found = [one for one in measured if one.private > 0 and one.loaded > 0]
    if len(found) < LEAST:
        return None
    most = len({one.network for one in found}) // NETWORKS_A_NUMBER
    model = _fit_loaded(found, min(most, MOST_WEIGHTS))
    rest = [Running(one.network, one.needs.moments, one.arena, one.private - _loaded(model, one), one.private) for one in found]
    working, buffers = fit_running(rest, min(most, MOST_BUFFERS))
    return replace(model, working=rounded(working, 3), buffers=tuple((kind, rounded(factor, 3)) for kind, factor in buffers))


def predicted(model: MemoryModel, one: MeasuredMemory) -> float:
    return model.base + held_weights(one.needs, model) + model.working * one.arena + held_inside(one.needs, model)


def _loaded(model: MemoryModel, one: MeasuredMemory) -> float:
    return model.base + held_weights(one.needs, model)


def _fit_loaded(measured: Sequence[MeasuredMemory], most: int) -> MemoryModel:
    """Base and factors of the weights; `working` is left open."""
    chosen: tuple[str, ...] = ()
    model = _with_own(measured, chosen)
    while len(chosen) < most:
        before = _missed(measured, model)
        tried = [_with_own(measured, (*chosen, kind)) for kind in _candidates(measured, chosen)]
        gains = [gain([one.network for one in measured], before, _missed(measured, found)) for found in tried]
        if not tried or max(gains) < GAIN:
            break
        best = tried[gains.index(max(gains))]
        model, chosen = best, tuple(kind for kind, _ in best.weights_of)
    return model


def _missed(measured: Sequence[MeasuredMemory], model: MemoryModel) -> Array:
    import numpy as np

    return misses(np.array([_loaded(model, one) / one.loaded - 1 for one in measured]))


def _candidates(measured: Sequence[MeasuredMemory], chosen: Sequence[str]) -> list[str]:
    """Operators that alone read a share of the weights, in enough networks."""
    networks: dict[str, set[str]] = {}
    for one in measured:
        for kinds, size in one.needs.weights:
            if len(kinds) == 1 and kinds[0] not in chosen and size >= LEAST_SHARE * one.weights:
                networks.setdefault(kinds[0], set()).add(one.network)
    return sorted(kind for kind, found in networks.items() if len(found) >= LEAST_NETWORKS)


def _with_own(measured: Sequence[MeasuredMemory], own: Sequence[str]) -> MemoryModel:
    import numpy as np
    from scipy.optimize import nnls

    def columns(one: MeasuredMemory) -> list[float]:
        sizes = [float(sum(size for kinds, size in one.needs.weights if kinds == (kind,))) for kind in own]
        return [1.0, one.weights - sum(sizes), *sizes]

    rows = np.array([columns(one) for one in measured]) / np.array([[float(one.loaded)] for one in measured])
    scale = np.maximum(np.abs(rows).max(axis=0), 1e-30)
    base, weights, *others = nnls(rows / scale, np.ones(len(measured)))[0] / scale
    whole = 2.0**16
    return MemoryModel(
        base=round(float(base) / whole) * whole, weights=rounded(float(weights), 3), working=1.0, origin=HERE,
        weights_of=tuple((kind, rounded(float(factor), 3)) for kind, factor in zip(own, others, strict=True)),
    )  # fmt: skip
