"""What lines predict for segments, whole models among them: the sum of `kernel_time`, over arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...targets.calibrated_cost import FEWEST, SLACK, beyond
from ...targets.calibration import Calibration, Range
from .fit_kinds import unlike
from .fit_price import kernel_seconds, price
from .fit_rates import Rates
from .fit_samples import Samples

if TYPE_CHECKING:
    from .fit_samples import Array, Flags, Numbers


@dataclass(frozen=True, slots=True)
class Predicted:
    """Of every segment."""

    seconds: Array
    outside: Array
    """The share of them that no measured operator was near."""
    kernels: Array
    """[kernel]: seconds, its launch included."""


def predict_segments(samples: Samples, rates: Rates, calibration: Calibration) -> Predicted:
    """Seconds of every segment by the rounded numbers of the calibration that `rates` became."""
    import numpy as np

    slowness = np.array([1.0 / rate.value for rate in calibration.rates])
    traffic_slowness = 1.0 / calibration.activations_bandwidth if calibration.activations_bandwidth else 0.0
    priced = price(samples, rates.lines, slowness, traffic_slowness)
    line, amount = priced.line[priced.main], priced.amount[priced.main]
    weight_slowness = 1.0 / calibration.weights_bandwidth if calibration.weights_bandwidth else 0.0
    stated = np.where((line >= 0) | samples.free[priced.main], 0.0, samples.roofline[priced.main])
    work = stated + kernel_seconds(samples, priced, slowness, calibration.weights_beyond, weight_slowness)
    kernels = work + priced.traffic[priced.main] * traffic_slowness + (calibration.launch or 0.0) * samples.kernel_launches
    unseen = _unseen(samples, calibration, line, amount, priced.main) & (samples.kernel_launches > 0)
    count = len(samples.segments)
    seconds = np.bincount(samples.kernel_segment, kernels, minlength=count) + (calibration.dispatch or 0.0)
    beyond = np.bincount(samples.kernel_segment, kernels * unseen, minlength=count)
    return Predicted(np.asarray(seconds, np.float64), np.asarray(beyond / np.maximum(seconds, 1e-12), np.float64), kernels)


def _unseen(samples: Samples, calibration: Calibration, line: Numbers, amount: Array, forms: Numbers) -> Flags:
    """Kernels without a line, or outside what it was measured on."""
    import numpy as np

    extent = samples.inner[forms]
    work = _bounds([rate.seen for rate in calibration.rates])[line]
    inner = _bounds([rate.inner for rate in calibration.rates])[line]
    most = np.array([beyond(rate.measure) for rate in calibration.rates] + [SLACK])[line]
    far = (amount > 0) & ((amount < work[:, 0] / SLACK) | (amount > work[:, 1] * most))
    wide = (extent > 0) & ((extent < inner[:, 0] / SLACK) | (extent > inner[:, 1] * SLACK))
    few = np.array([rate.samples is not None and rate.samples < FEWEST for rate in calibration.rates] + [True])[line]
    return np.asarray(few | far | wide | unlike(samples, [rate.kinds for rate in calibration.rates], line, forms))


def _bounds(ranges: list[Range | None]) -> Array:
    """[line, low or high]; the last row is of what has no line."""
    import numpy as np

    return np.array([(r.low, r.high) if r else (0.0, np.inf) for r in [*ranges, None]])
