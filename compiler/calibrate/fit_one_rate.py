"""The least that a measurement can say: whole latencies, and no operator's time, make one factor on the target's own roofline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...targets.model import Device
from .fit_classes import CLASSES
from .fit_price import lines_of
from .fit_rates import Rates
from .fit_samples import Samples

if TYPE_CHECKING:
    from .fit_samples import Flags


def one_rate(samples: Samples, chosen: Flags, device: Device, beyond: float) -> Rates:
    """The general classes, each at the rate of the roofline by one factor in all: that of the median network. Launch and dispatch stay as
    the target states them."""
    import numpy as np

    general = [index for index, row in enumerate(CLASSES) if row.general]
    line, amount = lines_of(samples, general)
    active = [index for place, index in enumerate(general) if np.any(amount[line == place] > 0)]
    line, amount = lines_of(samples, active)
    own = samples.roofline[samples.member_form]
    kernels = np.maximum.reduceat(own, samples.kernel_start)
    seconds = np.bincount(samples.kernel_segment, kernels, minlength=len(samples.segments))
    launches = np.bincount(samples.kernel_segment, samples.kernel_launches, minlength=len(samples.segments)) * device.launch
    left = np.maximum(samples.latency - device.dispatch - launches, 0.1 * samples.latency)
    use = chosen & (samples.latency > 0) & (seconds > 0)
    factor = float(np.median(left[use] / seconds[use])) if use.any() else 1.0
    slowness = [factor * samples.roofline[line == k].sum() / amount[line == k].sum() for k in range(len(active))]
    return Rates(tuple(active), tuple(map(float, slowness)), device.launch, device.dispatch, 0.0, 0.0, beyond, 0.0)
