"""What kernels of a measurement cost at some rates, over arrays: which member is the costliest, by which line, what its weights add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...targets.calibrated_cost import streamed_share
from .fit_classes import CLASSES
from .fit_samples import MEASURES, Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags, Numbers


@dataclass(frozen=True, slots=True)
class Priced:
    """Seconds of every form and every kernel at some rates."""

    line: Numbers
    """[form]: place in Rates.lines, or -1."""
    amount: Array
    """[form]: work in the measure of its line."""
    in_bytes: Flags
    """[place in Rates.lines]: whether the line counts bytes, weights among them."""
    traffic: Array
    """[form]: bytes that it reads and writes besides weights; 0 where its line does not count operations."""
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


def price(samples: Samples, active: Sequence[int], slowness: Array, traffic_slowness: float = 0.0) -> Priced:
    """Which member of every kernel is the costliest at these rates; of equal ones the first."""
    import numpy as np

    line, amount = lines_of(samples, active)
    in_operations = np.array([CLASSES[index].measure == "operations" for index in active] + [False], bool)
    traffic = np.where(in_operations[line], samples.traffic, 0.0)
    stated = np.where(samples.free, 0.0, samples.roofline)
    seconds = np.where(line >= 0, amount * np.append(slowness, 0.0)[line] + traffic * traffic_slowness, stated)
    cost = seconds[samples.member_form]
    order = np.lexsort((np.arange(len(cost)), -cost, samples.member_kernel))
    in_bytes = np.array([CLASSES[index].measure == "bytes" for index in active], bool)
    return Priced(line, amount, in_bytes, traffic, samples.member_form[order[samples.kernel_start]])


def added_bytes(samples: Samples, priced: Priced, beyond: float) -> Array:
    """[kernel]: bytes of weights that it reads from beyond the caches and that its line does not count itself."""
    import numpy as np

    return np.where(_counted(priced), 0.0, _from_memory(samples, beyond))


def kernel_seconds(samples: Samples, priced: Priced, slowness: Array, beyond: float, weight_slowness: float) -> Array:
    """[kernel]: what its line says, 0 without one, and its weights: added where the line counts operations or elements; where it counts
    bytes, they are the least that it takes, since they may have lain in a cache where the line was measured.

    slowness: seconds per unit of work of the active lines; weight_slowness: per byte of weights."""
    import numpy as np

    by_line = priced.amount[priced.main] * np.append(slowness, 0.0)[priced.line[priced.main]]
    weights = _from_memory(samples, beyond) * weight_slowness
    return np.asarray(np.where(_counted(priced), np.maximum(by_line, weights), by_line + weights), np.float64)


def _counted(priced: Priced) -> Flags:
    """[kernel]: whether its line counts bytes, weights among them."""
    import numpy as np

    return np.append(priced.in_bytes, False)[priced.line[priced.main]]


def _from_memory(samples: Samples, beyond: float) -> Array:
    """[kernel]: bytes of weights that no cache keeps from run to run."""
    import numpy as np

    share = np.array([streamed_share(beyond, weights) for weights in samples.weights])
    return np.where(samples.kernel_launches == 0, 0.0, samples.kernel_weights * share[samples.kernel_segment])


def stated_slowness(samples: Samples, active: Sequence[int]) -> Array:
    """Seconds per unit of work by the roofline: the median of the operators of each line."""
    import numpy as np

    line, amount = lines_of(samples, active)
    found = np.zeros(len(active))
    for k in range(len(active)):
        mine = (line == k) & (amount > 0)
        found[k] = float(np.median(samples.roofline[mine] / amount[mine])) if mine.any() else 0.0
    return found
