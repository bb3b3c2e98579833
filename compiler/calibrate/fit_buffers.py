"""What running bundles adds to their private memory, to a factor of their tensors and to buffers of some operators.

An operator's buffers count only where they decide the peak, so the error is no linear function of them: operators are tried one by one, and
all numbers are then fitted to the moments that decide under them, until no error gets smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plan.memory_needs import Moment

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.float64]]
    Numbers = numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.int64]]

LEAST_NETWORKS = 3
"""Networks that have an operator with buffers."""
GAIN = 0.025
"""Share of the error that an operator's buffers must explain."""
TRIED = (0.25, 0.5, 1.0, 2.0, 4.0)
NUDGES = (0.8, 0.9, 0.95, 1.05, 1.1, 1.25)
ROUNDS = 8
ENOUGH = 0.01
"""Mean relative error that needs no further explanation: numbers have two digits."""
FAR = 0.5
"""Relative error beyond which more counts no more."""


@dataclass(frozen=True, slots=True)
class Running:
    """Of one bundle."""

    network: str
    moments: tuple[Moment, ...]
    arena: int
    added: float
    """Private bytes that runs add."""
    private: int
    """All private bytes: errors are relative to these."""


def misses(off: Array) -> Array:
    """Of relative errors: large ones count more, up to a bound."""
    import numpy as np

    return np.asarray(np.minimum(np.abs(off), FAR) ** 1.5)


def gain(networks: Sequence[str], before: Array, after: Array) -> float:
    """The share of all misses that goes, without the network that gains most: what explains one network alone is no rule."""
    by_network: dict[str, float] = {}
    for network, less in zip(networks, before - after, strict=True):
        by_network[network] = by_network.get(network, 0.0) + float(less)
    total = float(before.sum())
    return (sum(by_network.values()) - max(by_network.values())) / total if total > ENOUGH**1.5 * len(before) else 0.0


class _Bundles:
    """All moments in one array, those of a bundle next to each other."""

    def __init__(self, measured: Sequence[Running]) -> None:
        import numpy as np

        moments = [[*one.moments, Moment("", 0, 0)] for one in measured]
        self.names = sorted({moment.operator for each in moments for moment in each})
        number = {name: index for index, name in enumerate(self.names)}
        self.operator: Numbers = np.array([number[moment.operator] for each in moments for moment in each])
        self.live: Array = np.array([float(moment.live) for each in moments for moment in each])
        self.handled: Array = np.array([float(moment.handled) for each in moments for moment in each])
        self.starts: Numbers = np.cumsum([0, *(len(each) for each in moments[:-1])])
        self.ends: Numbers = np.array([*self.starts[1:], len(self.live)])
        self.networks = [one.network for one in measured]
        self.arena: Array = np.array([float(one.arena) for one in measured])
        self.added: Array = np.array([one.added for one in measured])
        self.private: Array = np.array([float(one.private) for one in measured])
        networks: dict[str, set[str]] = {}
        for one in measured:
            for moment in one.moments:
                networks.setdefault(moment.operator, set()).add(one.network)
        self.candidates = [k for k, name in enumerate(self.names) if len(networks.get(name, ())) >= LEAST_NETWORKS]

    def misses(self, factors: Array) -> Array:
        """`factors`: of the tensors, then of each operator's buffers."""
        import numpy as np

        inside = np.maximum.reduceat(factors[0] * self.live + factors[1:][self.operator] * self.handled, self.starts)
        return misses((factors[0] * self.arena + inside - self.added) / self.private)

    def fitted(self, factors: Array, chosen: Sequence[int]) -> Array:
        """Numbers that explain most at the moments that decide under `factors`."""
        import numpy as np
        from scipy.optimize import nnls

        taken = factors[0] * self.live + factors[1:][self.operator] * self.handled
        at = np.array([start + int(np.argmax(taken[start:end])) for start, end in zip(self.starts, self.ends, strict=True)])
        columns = [self.live[at] + self.arena, *(np.where(self.operator[at] == k, self.handled[at], 0.0) for k in chosen)]
        found = np.zeros_like(factors)
        rows = np.stack(columns, axis=1) / self.private[:, None]
        scale = np.maximum(np.abs(rows).max(axis=0), 1e-30)
        solved = nnls(rows / scale, self.added / self.private)[0] / scale
        found[[0, *(k + 1 for k in chosen)]] = solved
        return found


def fit_running(measured: Sequence[Running], most: int) -> tuple[float, tuple[tuple[str, float], ...]]:
    """The factor of the tensors, and of at most so many operators those of their buffers, the most important one first."""
    import numpy as np

    bundles = _Bundles(measured)
    factors: Array = np.zeros(len(bundles.names) + 1)
    factors[0] = 1.0
    chosen: list[int] = []
    factors = _refined(bundles, factors, chosen)
    while len(chosen) < most:
        before = bundles.misses(factors)
        tried = [(k, value) for k in bundles.candidates if k not in chosen for value in TRIED]
        gains = [gain(bundles.networks, before, bundles.misses(_with(factors, k, value))) for k, value in tried]
        if not tried or max(gains) <= 0:
            break
        k, value = tried[gains.index(max(gains))]
        further = _refined(bundles, _with(factors, k, value), [*chosen, k])
        if gain(bundles.networks, before, bundles.misses(further)) < GAIN:
            break
        factors = further
        chosen.append(k)
    return float(factors[0]), tuple((bundles.names[k], float(factors[k + 1])) for k in chosen if factors[k + 1] > 0)


def _with(factors: Array, operator: int, value: float) -> Array:
    changed = factors.copy()
    changed[operator + 1] = value
    return changed


def _refined(bundles: _Bundles, factors: Array, chosen: Sequence[int]) -> Array:
    """The numbers where neither a fit to what decides nor a nudge of one of them makes the error smaller."""
    error = float(bundles.misses(factors).sum())
    for _ in range(ROUNDS):
        before = error
        trials = [bundles.fitted(factors, chosen)]
        for at in (0, *(k + 1 for k in chosen)):
            for nudge in NUDGES:
                changed = factors.copy()
                changed[at] *= nudge
                trials.append(changed)
        for trial in trials:
            if (new := float(bundles.misses(trial).sum())) < error:
                factors, error = trial, new
        if error == before:
            break
    return factors
