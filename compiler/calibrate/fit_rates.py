"""Rates, launch, dispatch and bandwidth of weights by non-negative least squares on relative errors.

    latency(segment) = dispatch + sum over kernels of (launch + work · 1/rate) + streamed weights · 1/bandwidth
    profiled(kernel) = overhead + work · 1/rate + streamed weights · 1/bandwidth

Overhead is what the profiler adds, and is not written anywhere: launch and dispatch come from latencies alone. A kernel's work is that of
its costliest member, which depends on the rates, so the fit is repeated; rows far off count less from fit to fit (Huber).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .fit_choice import CLOCK, enough, worthwhile
from .fit_classes import CLASSES, LONELY
from .fit_price import Priced, added_bytes, price, stated_slowness
from .fit_samples import Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags

HOT_WEIGHT = 0.1
"""Of a kernel that mostly reads its weights, and is alone: they then lie in a cache, where those of a model do not."""
EVEN = 0.25
"""Share of a model's weight that its operators have alike; the rest is by their time."""
ROUNDS = 4
KERNEL_BEND, LATENCY_BEND = 0.4, 0.25
"""Relative error from which a row's weight falls."""
LATENCY_WEIGHT = 1.2
"""Of a whole latency, against all operators of its model together."""
SINGLE_WEIGHT = 0.1
"""Of a kernel of the grid, against a network."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What was fitted; seconds per unit of work, by index of CLASSES."""

    lines: tuple[int, ...]
    slowness: tuple[float, ...]
    launch: float
    dispatch: float
    weight_slowness: float
    """Seconds per byte of streamed weights; 0 where none were measured."""
    traffic_slowness: float
    """Seconds per byte that kernels counted in operations read and write besides weights."""
    beyond: float
    """Bytes of weights that stay in caches."""
    overhead: float
    """Seconds that the profiler adds to a kernel."""


def fit_rates(samples: Samples, chosen: Flags, beyond: float) -> Rates:
    """The rates that explain the `chosen` segments best. Lines to which nothing can be assigned (collinear classes, noise) are left out."""
    import numpy as np

    active = enough(samples, chosen, range(len(CLASSES)))
    active = worthwhile(samples, chosen, active, _shared(samples, chosen, active, beyond))
    while True:
        solved = _solve(samples, chosen, active, beyond)
        dead = {active[k] for k, value in enumerate(solved[: len(active)]) if value <= 0.0 and active[k] not in LONELY}
        kept = enough(samples, chosen, [index for index in active if index not in dead])
        if kept == active:
            break
        active = kept
    count = len(active)
    slowness = np.maximum(solved[:count], _fastest(samples, chosen, active, float(solved[len(active) + 3])) if count else solved[:0])
    launch, dispatch, weight, overhead, traffic = map(float, solved[count:])
    return Rates(tuple(active), tuple(map(float, slowness)), launch, dispatch, weight, traffic, beyond, overhead)


def _shared(samples: Samples, chosen: Flags, active: Sequence[int], beyond: float) -> Array:
    """[kernel]: seconds that no line accounts for: what the profiler adds, streamed weights, and traffic. By a fit with every line."""
    solved = _solve(samples, chosen, active, beyond)
    weights, overhead, traffic = map(float, solved[len(active) + 2 :])
    priced = price(samples, active, solved[: len(active)], traffic)
    return added_bytes(samples, priced, beyond) * weights + priced.traffic[priced.main] * traffic + overhead


def _fastest(samples: Samples, chosen: Flags, active: Sequence[int], overhead: float) -> Array:
    """Half of the least seconds per unit of work that any operator of each line took, among those that took much more than the profiler
    itself; a tenth of the roofline's where none did. No line is faster, whatever latencies of whole models seem to leave to it."""
    import numpy as np

    stated = stated_slowness(samples, active)
    priced, found = price(samples, active, stated), 0.1 * stated
    line, amount = priced.line[priced.main], priced.amount[priced.main]
    use = chosen[samples.kernel_segment] & (samples.kernel_seconds > 4.0 * overhead + CLOCK) & (amount > 0)
    for k in range(len(active)):
        mine = use & (line == k)
        if mine.any():
            found[k] = 0.5 * float(np.min((samples.kernel_seconds[mine] - overhead) / amount[mine]))
    return found


def _solve(samples: Samples, chosen: Flags, active: Sequence[int], beyond: float) -> Array:
    """Slowness of each line, then launch, dispatch, slowness of streamed weights and the profiler's overhead."""
    import numpy as np

    slowness: Array = np.asarray(stated_slowness(samples, active), np.float64)
    solved: Array = np.zeros(len(active) + 5)
    trust: Array | None = None
    for _ in range(ROUNDS):
        rows, goal, weight, bend = _rows(samples, chosen, price(samples, active, slowness, float(solved[-1])), len(active), beyond)
        scale = weight if trust is None else weight * trust
        solved = _non_negative(rows * scale[:, None], goal * scale)
        slowness = solved[: len(active)]
        trust = _trust(rows @ solved, goal, bend)
    return solved


def _trust(expected: Array, goal: Array, bend: Array) -> Array:
    """What a row counts in the next round. Errors are taken of the mean of what was expected and what was measured, so that half and twice
    are equally wrong: of the measured alone, a fit would rather be too fast, and follow rows that are far too small."""
    import numpy as np

    middle = (np.maximum(expected, 0.1) + np.maximum(goal, 0.1)) / 2.0
    off = np.abs(expected - goal) / middle
    return np.asarray(np.sqrt(np.minimum(1.0, bend / np.maximum(off, 1e-12))) / middle)


def _rows(samples: Samples, chosen: Flags, priced: Priced, count: int, beyond: float) -> tuple[Array, Array, Array, Array]:
    """The system in relative terms: (coefficients, goals, weights, error from which a row counts less) of kernels, then of latencies."""
    import numpy as np

    segment, main = samples.kernel_segment, priced.main
    kernels = np.zeros((len(main), count + 5))
    known = priced.line[main] >= 0
    kernels[np.flatnonzero(known), priced.line[main][known]] = priced.amount[main][known]
    kernels[:, count + 2] = added_bytes(samples, priced, beyond)
    kernels[:, count + 4] = priced.traffic[main]
    rest = np.where(known | samples.free[main], 0.0, samples.roofline[main])
    whole = np.zeros((len(samples.latency), count + 5))
    whole[np.unique(segment)] = np.add.reduceat(kernels, np.flatnonzero(np.diff(segment, prepend=-1)), axis=0)
    whole[:, count] = np.bincount(segment, samples.kernel_launches, minlength=len(whole))
    whole[:, count + 1] = 1.0
    left = samples.latency - np.bincount(segment, rest, minlength=len(whole))
    kernels[:, count + 3] = samples.kernel_launches
    single = np.array([s.single for s in samples.segments], bool)
    floor = np.array([max(s.floor, 0.02) for s in samples.segments])
    use = chosen[segment] & (samples.kernel_seconds > 0) & (samples.kernel_launches > 0)
    profiled = np.bincount(segment[use], samples.kernel_seconds[use], minlength=len(whole))
    scale = np.maximum(samples.kernel_seconds[use], CLOCK)
    latencies = chosen & (samples.latency > 0)
    alike = np.bincount(segment[use], minlength=len(whole))[segment[use]]
    share = (1.0 - EVEN) * samples.kernel_seconds[use] / profiled[segment[use]] + EVEN / alike
    hot = single[segment] & np.append(priced.in_bytes, False)[priced.line[main]] & (samples.kernel_weights > 0.5 * priced.amount[main])
    weight = np.sqrt(share) * np.where(single[segment[use]], SINGLE_WEIGHT, 1.0) * np.where(hot[use], HOT_WEIGHT, 1.0)
    trusted = LATENCY_WEIGHT * np.where(single, SINGLE_WEIGHT, 1.0) * np.minimum(1.0, 0.05 / floor)
    return (
        np.concatenate([kernels[use] / scale[:, None], whole[latencies] / samples.latency[latencies, None]]),
        np.concatenate([(samples.kernel_seconds[use] - rest[use]) / scale, left[latencies] / samples.latency[latencies]]),
        np.concatenate([weight, trusted[latencies]]),
        np.concatenate([np.full(len(scale), KERNEL_BEND), np.full(int(latencies.sum()), LATENCY_BEND)]),
    )


def _non_negative(rows: Array, goal: Array) -> Array:
    """argmin |rows x - goal| with x >= 0, by the normal equations of columns scaled to length 1 (few columns, many rows)."""
    import numpy as np
    from scipy.optimize import nnls

    length = np.sqrt((rows * rows).sum(axis=0))
    used = length > 0
    found = np.zeros(rows.shape[1])
    if not used.any():
        return found
    scaled = rows[:, used] / length[used]
    gram = scaled.T @ scaled
    upper = np.linalg.cholesky(gram + 1e-9 * np.eye(len(gram))).T
    found[used] = nnls(upper, np.linalg.solve(upper.T, scaled.T @ goal))[0] / length[used]
    return found
