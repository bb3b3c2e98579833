"""Which classes become lines: those that enough operators were measured of, and whose operators no other line prices as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...targets.calibrated_cost import FEWEST
from .fit_classes import CLASSES, LONELY
from .fit_price import lines_of, price, stated_slowness
from .fit_samples import Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags, Numbers

MOST_LINES = 39
LEAST_WORTH = 1e-3
"""Share of a model's time below which a line of its own is not worth a number."""
POWER = 1.5
"""Exponent of the mean over models by which a line is weighed: above 1, much of one model is worth more than little of each."""
CLOCK = 2e-6
"""Seconds: profilers count whole microseconds, so shorter kernels weigh less."""
SINGLE_WORTH = 0.003
"""Of a kernel of the grid, against a model: a kind of operator that no model at hand has may be most of another."""
MOST_SHARED = 0.9
"""Share of a kernel's seconds that may be no line's."""


def enough(samples: Samples, chosen: Flags, classes: Iterable[int]) -> list[int]:
    """Classes that enough measured operators fall to, once those with fewer are left out."""
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
            return active
        active = kept


def worthwhile(samples: Samples, chosen: Flags, active: Sequence[int], shared: Array) -> list[int]:
    """Of classes at most MOST_LINES, without those whose operators the next line that matches would price as well. `shared`: seconds of
    each kernel that no line accounts for."""
    while True:
        worth = _worth(samples, chosen, active, shared) if active else {}
        least_first = sorted(worth, key=lambda index: worth[index])
        poor = sum(worth[index] < LEAST_WORTH for index in least_first)
        if not least_first or (not poor and len(active) <= MOST_LINES):
            return list(active)
        gone = least_first[: max(1, max(poor, len(active) - MOST_LINES) // 3)]
        active = enough(samples, chosen, [index for index in active if index not in gone])


def _worth(samples: Samples, chosen: Flags, active: Sequence[int], shared: Array) -> dict[int, float]:
    """By class that has others behind it: the share of a model's time by which its operators would be priced otherwise by
    the next line (root of the mean square over models: a few per cent of one model weigh more than little of each)."""
    import numpy as np

    priced = price(samples, active, stated_slowness(samples, active))
    use = chosen[samples.kernel_segment] & (samples.kernel_seconds > CLOCK)
    forms, seconds = priced.main[use], samples.kernel_seconds[use]
    total = np.bincount(samples.kernel_segment[use], seconds, minlength=len(samples.segments))
    models = ~np.array([s.single for s in samples.segments], bool) & (total > 0)
    count = np.where(models, 1.0, SINGLE_WORTH * (total > 0))
    share = seconds / total[samples.kernel_segment[use]]
    common = np.minimum(shared[use], MOST_SHARED * seconds)
    slow = _medians(priced.line[forms], priced.amount[forms], seconds - common, len(active))
    line, behind = priced.line[forms], lines_of(samples, active, 1)
    next_line, next_amount = behind[0][forms], behind[1][forms]
    own, other = priced.amount[forms] * slow[line], next_amount * slow[next_line]
    off = share * np.minimum(np.abs(np.log(np.maximum(other + common, 1e-12) / np.maximum(own + common, 1e-12))), 1.0)
    known = line >= 0
    cells = samples.kernel_segment[use][known] * len(active) + line[known]
    lost = np.bincount(cells, off[known], minlength=len(samples.segments) * len(active)).reshape(-1, len(active))
    lost = ((lost**POWER * count[:, None]).sum(axis=0) / max(count.sum(), 1.0)) ** (1 / POWER)
    alone = np.bincount(line[line >= 0], next_line[line >= 0] < 0, minlength=len(active))
    return {index: float(lost[k]) for k, index in enumerate(active) if not alone[k] and index not in LONELY and not CLASSES[index].kept}


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
