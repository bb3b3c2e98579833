"""From what was measured on a device to its calibration: classes, rates, hold-out, interval, and what stands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...targets.calibration import Block, Calibration, Holdout
from ...targets.model import Device, Target
from ..quantities import percent, reach
from .fit_holdout import HeldOut, hold_out, interval, median_error, share_within
from .fit_lines import HERE, calibration_of, rounded
from .fit_one_rate import one_rate
from .fit_predict import Predicted, predict_segments
from .fit_price import kernel_seconds, price
from .fit_rates import Rates, fit_rates
from .fit_samples import Samples, samples_of, with_blocks
from .records import MeasuredSegment, Measurement

if TYPE_CHECKING:
    from .fit_samples import Flags

BLOCKS = (1, 4, 8, 16, 32)
"""Of channels of a convolution: which one a runtime computes in shows in the times."""
PADDED = ("Conv",)
CACHES, USUAL = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48), 16
"""MiB of weights that may stay in caches, and what is supposed until blocks are known."""
LEAST_GAIN = 2e-3
"""Of the mean error, by which a bandwidth of activations has to lower it."""
ONE_RATE = "no operator has a time of its own: one factor was fitted to whole latencies, on the rates that the target states"
MOST_INTERVAL, MOST_REFUSED = 0.20, 0.15


class NothingMeasured(ValueError):
    """A measurement without a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A calibration, and all that a report says of it."""

    device: str
    """Of the target."""
    calibration: Calibration
    samples: Samples
    rates: Rates
    predicted: Predicted
    """By the calibration, of what it was fitted to."""
    held: tuple[HeldOut, ...]
    failures: tuple[str, ...]
    """Why it must not be used; () where it may."""
    notes: tuple[str, ...] = ()


def fit(measurement: Measurement, target: Target, *, date: str = "", with_holdout: bool = True) -> Fitted:
    """The calibration of the measured device. `date`: for the note. Raises NothingMeasured."""
    import numpy as np

    device = target.device(measurement.device)
    segments = tuple(s for s in measurement.segments if s.kernels and (s.latency or any(k.seconds for k in s.kernels)))
    if not segments:
        raise NothingMeasured("nothing was measured: no operator and no model has a time")
    everything = np.ones(len(segments), bool)
    samples, rates, blocks = _best(segments, target, device, everything)

    def without(chosen: Flags) -> Predicted:
        own = _rates(samples, chosen, device, rates.beyond)
        return predict_segments(samples, own, calibration_of(samples, chosen, own, blocks, note="", version=""))

    held = hold_out(segments, without) if with_holdout else ()
    calibration = calibration_of(
        samples, everything, rates, blocks, note=note_of(measurement, segments, date), version=measurement.runtime,
        holdout=holdout_of(held, segments),
    )  # fmt: skip
    return Fitted(
        device=device.name,
        calibration=calibration,
        samples=samples,
        rates=rates,
        predicted=predict_segments(samples, rates, calibration),
        held=held,
        failures=failures_of(held, calibration) if with_holdout else (),
        notes=tuple(_notes(held, calibration, _profiled(samples, everything))),
    )


def _profiled(samples: Samples, chosen: Flags) -> bool:
    return bool((samples.kernel_seconds[chosen[samples.kernel_segment]] > 0).any())


def _rates(samples: Samples, chosen: Flags, device: Device, beyond: float) -> Rates:
    if not _profiled(samples, chosen):
        return one_rate(samples, chosen, device, beyond)
    return unbiased(samples, chosen, fit_rates(samples, chosen, beyond))


def _best(segments: Sequence[MeasuredSegment], target: Target, device: Device, chosen: Flags) -> tuple[Samples, Rates, tuple[Block, ...]]:
    """The block of channels, then the size of the cache, under which the rates explain most."""
    tried, plain = [], samples_of(segments, target, device)
    for multiple in BLOCKS:
        blocks = (Block(operators=PADDED, axis="channels", multiple=multiple, origin=HERE),) if multiple > 1 else ()
        samples = with_blocks(plain, blocks)
        rates = _rates(samples, chosen, device, USUAL * 2.0**20)
        tried.append((misfit(samples, chosen, rates), multiple, samples, rates, blocks))
    _, _, samples, rates, blocks = min(tried, key=lambda one: (round(one[0], 3), one[1]))
    if rates.weight_slowness > 0:
        others = [_rates(samples, chosen, device, size * 2.0**20) for size in CACHES]
        rates = min(others, key=lambda one: (round(misfit(samples, chosen, one), 3), one.beyond))
    return *_without_traffic(samples, rates, device, chosen), blocks


def _without_traffic(samples: Samples, rates: Rates, device: Device, chosen: Flags) -> tuple[Samples, Rates]:
    """No bandwidth of activations where rates alone explain as much: noise would share one kind of operator's time between the two."""
    import numpy as np

    plain = replace(samples, traffic=np.zeros_like(samples.traffic))
    others = _rates(plain, chosen, device, rates.beyond)
    pays = misfit(samples, chosen, rates) < misfit(plain, chosen, others) - LEAST_GAIN
    return (samples, rates) if pays else (plain, others)


def misfit(samples: Samples, chosen: Flags, rates: Rates) -> float:
    """Mean error of whole latencies, plus that of operators within their model, weighted by time: each model counts alike, kernels of the
    grid only where there is no model. Logarithms, bounded."""
    import numpy as np

    models = chosen & ~np.array([s.single for s in samples.segments], bool)
    chosen = models if models.any() else chosen
    slowness = np.array(rates.slowness)
    priced = price(samples, rates.lines, slowness, rates.traffic_slowness)
    use = chosen[samples.kernel_segment] & (samples.kernel_seconds > 0) & (priced.line[priced.main] >= 0)
    known = kernel_seconds(samples, priced, slowness, rates.beyond, rates.weight_slowness)
    expected = known[use] + priced.traffic[priced.main[use]] * rates.traffic_slowness + rates.overhead
    seconds = samples.kernel_seconds[use]
    off = np.minimum(np.abs(np.log(np.maximum(expected, 1e-12) / seconds)), 1.0)
    count = len(samples.segments)
    total = np.bincount(samples.kernel_segment[use], seconds, minlength=count)
    wrong = np.bincount(samples.kernel_segment[use], seconds * off, minlength=count)
    found = float(np.mean(wrong[total > 0] / total[total > 0])) if (total > 0).any() else 0.0
    timed = chosen & (samples.latency > 0)
    predicted = predict_segments(samples, rates, calibration_of(samples, chosen, rates, (), note="", version="")).seconds
    whole = np.log(np.maximum(predicted[timed], 1e-12) / samples.latency[timed])
    return found + (float(np.mean(np.minimum(np.abs(whole - np.median(whole)), 1.0))) if timed.any() else 0.0)


def unbiased(samples: Samples, chosen: Flags, rates: Rates) -> Rates:
    """All times by one factor, so that the median network is predicted as it was measured without the profiler."""
    import numpy as np

    whole = np.array([not s.single and bool(s.latency) for s in samples.segments], bool) & chosen
    if not whole.any():
        return rates
    calibration = calibration_of(samples, chosen, rates, (), note="", version="")
    predicted = predict_segments(samples, rates, calibration).seconds
    ratios: dict[str, list[float]] = {}
    for index in np.flatnonzero(whole):
        ratios.setdefault(samples.segments[index].network, []).append(float(samples.latency[index] / predicted[index]))
    factor = float(np.median([float(np.mean(found)) for found in ratios.values()]))
    return replace(
        rates, slowness=tuple(factor * one for one in rates.slowness), launch=factor * rates.launch, dispatch=factor * rates.dispatch,
        weight_slowness=factor * rates.weight_slowness, traffic_slowness=factor * rates.traffic_slowness,
    )  # fmt: skip


def holdout_of(held: Sequence[HeldOut], segments: Sequence[MeasuredSegment]) -> Holdout | None:
    """As the file states it; None where no network could be held out."""
    if not held:
        return None
    within = tuple((rounded(share_within(held, error), 2), error) for error in (0.10, 0.15, 0.20))
    width, middle = interval(held), median_error(held)
    return Holdout(
        within=within, median=None if middle is None else rounded(middle, 2), interval=None if width is None else rounded(width, 2, 1),
        models=len({s.network for s in segments if not s.single}), origin=HERE,
    )  # fmt: skip


def failures_of(held: Sequence[HeldOut], calibration: Calibration) -> tuple[str, ...]:
    """The rules by which a calibration has failed."""
    found = []
    width = calibration.holdout.interval if calibration.holdout else None
    if width is not None and width > MOST_INTERVAL:
        found.append(
            f"90 % of held-out models are within {reach(width)} only, above {reach(MOST_INTERVAL)}: "
            "measure more networks, or on a quieter machine"
        )
    refused = sum(one.refused for one in held) / len(held) if held else 0.0
    if refused > MOST_REFUSED:
        found.append(
            f"{percent(refused)} of held-out models are more than 10 % outside what was measured, above {percent(MOST_REFUSED)}: "
            "measure more networks"
        )
    return tuple(found)


def _notes(held: Sequence[HeldOut], calibration: Calibration, profiled: bool) -> Iterator[str]:
    if not profiled:
        yield ONE_RATE
    if not held:
        yield "no network could be held out: how far predictions are off is not known"
    elif calibration.holdout is not None and calibration.holdout.interval is None:
        yield f"{len(held)} predictions of held-out networks are too few for an interval that holds 90 %"


def note_of(measurement: Measurement, segments: Sequence[MeasuredSegment], date: str) -> str:
    """ "onnxruntime 1.32.0, 1 thread, 41 networks, 2026-11-27"."""
    networks = len({s.network for s in segments if not s.single})
    threads = measurement.environment.get("threads", "")
    single = len({s.case for s in segments if s.single})
    parts = [
        measurement.runtime, f"{threads} thread{'s' * (threads != '1')}" if threads else "", f"{networks} network{'s' * (networks != 1)}",
        f"{single} kernels" if single else "", date or measurement.environment.get("date", ""),
    ]  # fmt: skip
    return ", ".join(filter(None, parts))
