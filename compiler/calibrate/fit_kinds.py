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

NEAR = 2.0
"""Times the line's: the median operator of a kind, by time, is nearer than this."""
TINY = 3e-6
"""Seconds that are the clock's and the launch's, whatever operator took them."""


def kinds_of(samples: Samples, forms: Numbers, seconds: Array, expected: Array) -> tuple[str, ...] | None:
    """Of a line's kernels: the kinds that keep to it, in the order of their names. None where no kernel was timed by itself."""
    import numpy as np

    timed = np.isfinite(seconds)
    if not timed.any():
        return None
    kind, seconds, expected = samples.kind[forms][timed], seconds[timed], expected[timed]
    kept = (int(one) for one in np.unique(kind) if _keeps(seconds[kind == one], expected[kind == one]))
    return tuple(sorted(samples.kinds[one] for one in kept))


def _keeps(seconds: Array, expected: Array) -> bool:
    import numpy as np

    ratio = (seconds + TINY) / (expected + TINY)
    order = np.argsort(ratio, kind="stable")
    weight = np.cumsum((seconds + expected)[order])
    middle = float(ratio[order][min(int(np.searchsorted(weight, weight[-1] / 2)), len(order) - 1)])
    return 1.0 / NEAR <= middle <= NEAR


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
