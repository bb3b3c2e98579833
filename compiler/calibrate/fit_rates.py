"""Rates, launch, dispatch and bandwidth of weights by non-negative least squares on relative errors.

    latency(segment) = dispatch + sum over kernels of (launch + work · 1/rate) + streamed weights · 1/bandwidth
    profiled(kernel) = overhead + work · 1/rate + streamed weights · 1/bandwidth

Overhead is what the profiler adds, and is not written anywhere: launch and dispatch come from latencies alone. A kernel's work is that of
its costliest member, which depends on the rates, so the fit is repeated; rows far off count less from fit to fit (Huber).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...targets.calibrated_cost import FEWEST, streamed_share
from .fit_classes import CLASSES, LONELY
from .fit_samples import MEASURES, Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags, Numbers

MOST_LINES = 40
LEAST_WORTH = 1e-3
"""Share of a model's time below which a line of its own is not worth a number."""
POWER = 1.5
"""Exponent of the mean over models by which a line is weighed: above 1, much of one model is worth more than little of each."""
HOT_WEIGHT = 0.1
"""Of a kernel that mostly reads its weights, and is alone: they then lie in a cache, where those of a model do not."""
EVEN = 0.25
"""Share of a model's weight that its operators have alike; the rest is by their time."""
ROUNDS = 4
CLOCK = 2e-6
"""Seconds: profilers count whole microseconds, so shorter kernels weigh less."""
KERNEL_BEND, LATENCY_BEND = 0.4, 0.25
"""Relative error from which a row's weight falls."""
LATENCY_WEIGHT = 1.5
"""Of a whole latency, against all operators of its model together."""
SINGLE_WEIGHT = 0.2
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
    beyond: float
    """Bytes of weights that stay in caches."""
    overhead: float
    """Seconds that the profiler adds to a kernel."""


@dataclass(frozen=True, slots=True)
class Priced:
    """Seconds of every form and every kernel at some rates."""

    line: Numbers
    """[form]: place in Rates.lines, or -1."""
    amount: Array
    """[form]: work in the measure of its line."""
    in_bytes: Flags
    """[place in Rates.lines]: whether the line counts bytes, weights among them."""
    main: Numbers
    """[kernel]: the form that it costs."""


def lines_of(samples: Samples, active: Sequence[int], place: int = 0) -> tuple[Numbers, Array]:
    """(index in `active` or -1, work) of each form: the first of its classes that is active, or with `place` 1 the next behind it."""
    import numpy as np

    if not len(active):
        return np.full(len(samples.forms), -1, np.int64), np.zeros(len(samples.forms))
    columns, measured = np.array(active, np.int64), np.array([MEASURES.index(row.measure) for row in CLASSES])
    holds, every = samples.matches[:, columns], np.arange(len(samples.forms))
    for _ in range(place):
        holds[every, np.argmax(holds, axis=1)] = False
    first = np.argmax(holds, axis=1)
    known = holds[every, first] & ~samples.free
    return np.where(known, first, -1), np.where(known, samples.amounts[every, measured[columns][first]], 0.0)


def price(samples: Samples, active: Sequence[int], slowness: Array) -> Priced:
    """Which member of every kernel is the costliest at these rates; of equal ones the first."""
    import numpy as np

    line, amount = lines_of(samples, active)
    seconds = np.where(line >= 0, amount * np.append(slowness, 0.0)[line], np.where(samples.free, 0.0, samples.roofline))
    cost = seconds[samples.member_form]
    order = np.lexsort((np.arange(len(cost)), -cost, samples.member_kernel))
    in_bytes = np.array([CLASSES[index].measure == "bytes" for index in active], bool)
    return Priced(line, amount, in_bytes, samples.member_form[order[samples.kernel_start]])


def streamed_bytes(samples: Samples, priced: Priced, beyond: float) -> Array:
    """[kernel]: bytes of weights that it reads from beyond the caches and that its line does not count itself."""
    import numpy as np

    share = np.array([streamed_share(beyond, weights) for weights in samples.weights])
    counted = np.append(priced.in_bytes, False)[priced.line[priced.main]]
    return np.where(counted | (samples.kernel_launches == 0), 0.0, samples.kernel_weights * share[samples.kernel_segment])


def fit_rates(samples: Samples, chosen: Flags, beyond: float) -> Rates:
    """The rates that explain the `chosen` segments best. Lines to which nothing can be assigned (collinear classes, noise) are left out."""
    import numpy as np

    active = _enough(samples, chosen, range(len(CLASSES)))
    while True:
        solved = _solve(samples, chosen, active, beyond)
        dead = {active[k] for k, value in enumerate(solved[: len(active)]) if value <= 0.0 and active[k] not in LONELY}
        kept = _enough(samples, chosen, [index for index in active if index not in dead])
        if kept == active:
            break
        active = kept
    count = len(active)
    slowness = np.maximum(solved[:count], _fastest(samples, chosen, active, float(solved[-1])) if count else solved[:0])
    launch, dispatch, weight, overhead = map(float, solved[count:])
    return Rates(tuple(active), tuple(map(float, slowness)), launch, dispatch, weight, beyond, overhead)


def _enough(samples: Samples, chosen: Flags, classes: Iterable[int]) -> list[int]:
    """Classes that enough measured operators fall to, once those with fewer are left out; of these at most MOST_LINES, without those whose
    operators the next line that matches would price as well."""
    import numpy as np

    members = chosen[samples.kernel_segment][samples.member_kernel]
    seen = np.unique(samples.member_form[members])
    active = list(classes)
    while True:
        line, amount = lines_of(samples, active)
        line = np.where(amount > 0, line, -1)
        place = line[samples.member_form[members]]
        counts = np.bincount(place[place >= 0], minlength=len(active))
        forms = np.bincount(line[seen] + 1, minlength=len(active) + 1)[1:]
        least = np.array([1 if index in LONELY else FEWEST for index in active])
        kept = [index for k, index in enumerate(active) if counts[k] >= least[k] and forms[k] >= min(2, least[k])]
        if len(kept) == len(active):
            break
        active = kept
    worth = _worth(samples, chosen, active) if active else {}
    least_first = sorted(worth, key=lambda index: worth[index])
    poor = sum(worth[index] < LEAST_WORTH for index in least_first)
    if not least_first or (not poor and len(active) <= MOST_LINES):
        return active
    gone = least_first[: max(1, max(poor, len(active) - MOST_LINES) // 3)]
    return _enough(samples, chosen, [index for index in active if index not in gone])


def _worth(samples: Samples, chosen: Flags, active: Sequence[int]) -> dict[int, float]:
    """By class that has others behind it: the share of a model's time by which its operators would be priced otherwise by
    the next line (root of the mean square over models: a few per cent of one model weigh more than little of each)."""
    import numpy as np

    priced = price(samples, active, _stated(samples, active))
    use = chosen[samples.kernel_segment] & (samples.kernel_seconds > CLOCK)
    forms, seconds = priced.main[use], samples.kernel_seconds[use]
    total = np.bincount(samples.kernel_segment[use], seconds, minlength=len(samples.segments))
    models = ~np.array([s.single for s in samples.segments], bool) & (total > 0)
    count = (models if models.any() else total > 0).astype(float)
    share = seconds / total[samples.kernel_segment[use]]
    slow = _medians(priced.line[forms], priced.amount[forms], seconds, len(active))
    line, behind = priced.line[forms], lines_of(samples, active, 1)
    next_line, next_amount = behind[0][forms], behind[1][forms]
    own, other = priced.amount[forms] * slow[line], next_amount * slow[next_line]
    off = share * np.minimum(np.abs(np.log(np.maximum(other, 1e-12) / np.maximum(own, 1e-12))), 1.0)
    known = line >= 0
    cells = samples.kernel_segment[use][known] * len(active) + line[known]
    lost = np.bincount(cells, off[known], minlength=len(samples.segments) * len(active)).reshape(-1, len(active))
    lost = ((lost**POWER * count[:, None]).sum(axis=0) / max(count.sum(), 1.0)) ** (1 / POWER)
    alone = np.bincount(line[line >= 0], next_line[line >= 0] < 0, minlength=len(active))
    return {index: float(lost[k]) for k, index in enumerate(active) if not alone[k] and index not in LONELY}


def _medians(line: Numbers, amount: Array, seconds: Array, count: int) -> Array:
    """Seconds per unit of work of each line: of the operators it has, the median by time."""
    import numpy as np

    found = np.zeros(count)
    for place in range(count):
        mine = (line == place) & (amount > 0)
        if mine.any():
            order = np.argsort(seconds[mine] / amount[mine], kind="stable")
            half = int(np.searchsorted(np.cumsum(seconds[mine][order]), seconds[mine].sum() / 2))
            found[place] = (seconds[mine] / amount[mine])[order[min(half, len(order) - 1)]]
    return found


def _stated(samples: Samples, active: Sequence[int]) -> Array:
    """Seconds per unit of work by the roofline: the median of the operators of each line."""
    import numpy as np

    line, amount = lines_of(samples, active)
    found = np.zeros(len(active))
    for k in range(len(active)):
        mine = (line == k) & (amount > 0)
        found[k] = float(np.median(samples.roofline[mine] / amount[mine])) if mine.any() else 0.0
    return found


def _fastest(samples: Samples, chosen: Flags, active: Sequence[int], overhead: float) -> Array:
    """Half of the least seconds per unit of work that any operator of each line took, among those that took much more than the profiler
    itself; a tenth of the roofline's where none did. No line is faster, whatever latencies of whole models seem to leave to it."""
    import numpy as np

    stated = _stated(samples, active)
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

    slowness: Array = np.asarray(_stated(samples, active), np.float64)
    solved: Array = np.zeros(len(active) + 4)
    trust: Array | None = None
    for _ in range(ROUNDS):
        rows, goal, weight, bend = _rows(samples, chosen, price(samples, active, slowness), len(active), beyond)
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
    kernels = np.zeros((len(main), count + 4))
    known = priced.line[main] >= 0
    kernels[np.flatnonzero(known), priced.line[main][known]] = priced.amount[main][known]
    kernels[:, count + 2] = streamed_bytes(samples, priced, beyond)
    rest = np.where(known | samples.free[main], 0.0, samples.roofline[main])
    whole = np.zeros((len(samples.latency), count + 4))
    np.add.at(whole, segment, kernels)
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
