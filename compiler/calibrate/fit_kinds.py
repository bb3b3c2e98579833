"""Which kinds of operators keep to their line, and which only share its number.

A line stands for all operators that it names, since numbers are few. Of those whose kernels take another time than it says, nothing is
known by it: the line does not list their kind, so that they are outside what was measured wherever they are met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .fit_samples import Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags, Numbers

NEAR, NEARER = 2.0, 1.33
"""Times the line's: the median operator of a kind, by time, is nearer than this. Of a kind that few networks have, this is how far off a
network of it would be."""
FEW_NETWORKS = 3
TINY = 3e-6
"""Seconds that are the clock's and the launch's, whatever operator took them."""


def kinds_of(samples: Samples, forms: Numbers, seconds: Array, expected: Array, segment: Numbers) -> tuple[str, ...] | None:
    """Of a line's kernels: the kinds that keep to it, in the order of their names. None where no kernel was timed by itself."""
    import numpy as np

    timed = np.isfinite(seconds)
    if not timed.any():
        return None
    kind, seconds, expected, segment = samples.kind[forms][timed], seconds[timed], expected[timed], segment[timed]
    kept = []
    for one in np.unique(kind):
        mine = kind == one
        networks = {samples.segments[place].network for place in np.unique(segment[mine]) if not samples.segments[place].single}
        if _keeps(seconds[mine], expected[mine], NEAR if len(networks) >= FEW_NETWORKS else NEARER):
            kept.append(int(one))
    return tuple(sorted(samples.kinds[one] for one in kept))


def _keeps(seconds: Array, expected: Array, near: float) -> bool:
    import numpy as np

    ratio = (seconds + TINY) / (expected + TINY)
    order = np.argsort(ratio, kind="stable")
    weight = np.cumsum(np.minimum(seconds, expected)[order] + TINY)  # one row that is far off decides nothing
    middle = float(ratio[order][min(int(np.searchsorted(weight, weight[-1] / 2)), len(order) - 1)])
    return 1.0 / near <= middle <= near


def unlike(samples: Samples, kinds: Sequence[tuple[str, ...] | None], line: Numbers, forms: Numbers) -> Flags:
    """Of kernels with these lines and forms: whether their line lists kinds, and not theirs."""
    import numpy as np

    number = {name: index for index, name in enumerate(samples.kinds)}
    listed = np.zeros((len(kinds) + 1, len(samples.kinds)), bool)
    for place, names in enumerate(kinds):
        if names is None:
            listed[place] = True
        else:
            listed[place, [number[name] for name in names if name in number]] = True
    return np.asarray(~listed[line, samples.kind[forms]])
