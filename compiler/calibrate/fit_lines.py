"""Fitted rates as the lines of a calibration, in numbers of as many digits as are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context
from typing import TYPE_CHECKING

from ...targets.calibration import Block, Calibration, Holdout, Range, Rate
from ...targets.origin import Origin
from ...targets.work.kind import name_of
from .fit_classes import CLASSES
from .fit_kinds import kinds_of
from .fit_price import Priced, kernel_seconds, price
from .fit_rates import Rates
from .fit_samples import Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags, Numbers

HERE = Origin("calibrate", 1, 1)
DIGITS = 3
"""Of rates and times; no measurement has more."""


def calibration_of(
    samples: Samples, chosen: Flags, rates: Rates, blocks: Sequence[Block], *, note: str, version: str, holdout: Holdout | None = None
) -> Calibration:
    """The lines, with what they were measured on: the `chosen` segments."""
    return Calibration(
        note=note, version=version, launch=rounded(rates.launch), dispatch=rounded(rates.dispatch),
        weights_bandwidth=rounded(1.0 / rates.weight_slowness) if rates.weight_slowness > 0 else None,
        weights_beyond=rates.beyond if rates.weight_slowness > 0 else 0.0,
        activations_bandwidth=rounded(1.0 / rates.traffic_slowness) if rates.traffic_slowness > 0 else None,
        blocks=tuple(blocks), rates=lines(samples, chosen, rates), holdout=holdout, memory=None, power=None, origin=HERE,
    )  # fmt: skip


def lines(samples: Samples, chosen: Flags, rates: Rates) -> tuple[Rate, ...]:
    """One per class that was fitted; `seen` and `inner` are of the operators that kernels cost."""
    import numpy as np

    priced = price(samples, rates.lines, np.array(rates.slowness), rates.traffic_slowness)
    use = chosen[samples.kernel_segment] & (samples.kernel_launches > 0)
    found, all_expected = [], _expected(samples, rates, priced)
    for place, index in enumerate(rates.lines):
        mine = use & (priced.line[priced.main] == place)
        forms, expected = priced.main[mine], all_expected[mine]
        off, count = _off(samples.kernel_seconds[mine], expected)
        row = CLASSES[index]
        found.append(
            Rate(
                operators=_met(samples, forms, row.operators),
                value=rounded(1.0 / rates.slowness[place]),
                measure=row.measure,
                seen=_range(priced.amount[forms]),
                inner=_range(samples.inner[forms]),
                samples=count,
                spread=off,
                kinds=kinds_of(samples, forms, samples.kernel_seconds[mine], expected, samples.kernel_segment[mine]),
                where=row.where,
                origin=HERE,
            )
        )
    return tuple(found)


def _met(samples: Samples, forms: Numbers, operators: Sequence[str]) -> tuple[str, ...]:
    """Those of the class that were measured, in its order: of others nothing is known. All where none was timed by itself."""
    met = {name_of(samples.forms[int(form)]) for form in forms}
    return tuple(name for name in operators if name in met) or tuple(operators)


def _expected(samples: Samples, rates: Rates, priced: Priced) -> Array:
    """Seconds that a profiler should show of every kernel."""
    import numpy as np

    known = kernel_seconds(samples, priced, np.array(rates.slowness), rates.beyond, rates.weight_slowness)
    return np.asarray(known + priced.traffic[priced.main] * rates.traffic_slowness + rates.overhead)


def _off(seconds: Array, expected: Array) -> tuple[float | None, int]:
    """(Share by which half of the operators, weighted by time, are off the line, operators measured)."""
    import numpy as np

    measured = np.isfinite(seconds)
    if not measured.any():
        return None, len(seconds)
    seconds, expected = seconds[measured], expected[measured]
    return rounded(weighted_median(np.abs(seconds / expected - 1.0), seconds), 2), len(seconds)


def weighted_median(values: Array, weights: Array) -> float:
    """The value below which half of the weight lies."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(values[order[min(int(half), len(order) - 1)]])


def _range(values: Array) -> Range | None:
    positive = values[values > 0]
    return Range(rounded(float(positive.min()), 2, -1), rounded(float(positive.max()), 2, 1)) if len(positive) else None


def rounded(value: float, digits: int = DIGITS, toward: int = 0) -> float:
    """To so many digits: to the nearest, or down (-1) or up (1)."""
    if value == 0.0 or not math.isfinite(value):
        return value
    way = {0: ROUND_HALF_EVEN, -1: ROUND_FLOOR, 1: ROUND_CEILING}[toward]
    return float(Context(prec=digits, rounding=way).create_decimal(repr(value)))
