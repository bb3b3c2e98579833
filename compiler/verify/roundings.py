"""What rounding does to a tensor, place by place: measured on every input set, and typical of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .places import by_channel, fills
from .terms import AVERAGE_ULPS, BELIEVED, TINY, ULPS, UNITS, Sample, Terms

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FEW_CHANNELS, MANY_CHANNELS = 8, 100
"""Channels of about one scale below which nothing is usual among them, and from which on what is usual is near the largest."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """Of one sample; all per channel."""

    scale: Array
    """Largest |expected| that is no fill."""
    peak: Array
    """Largest rounding of an element that is no fill."""
    mean: Array
    """Largest root mean square of a way to round."""
    sums: Array
    """[3, channels]: number, sum and sum of squares of what is expected, fills left out."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One sample, as [channels, elements]."""

    expected: Array
    gap: Array
    """|got - expected|, 0 where they are equal or not both finite."""
    odd: Array
    """Not finite where the reference is, or the other way round."""
    fill: Array
    counted: Array
    """Finite and no fill."""


def compared(sample: Sample, axis: int | None) -> Compared:
    """The sample, as its elements are judged."""
    expected = saturated(np.asarray(sample.expected, np.float64), sample.got)
    e, g = by_channel(expected, axis), by_channel(np.asarray(sample.got).astype(np.float64, copy=False), axis)
    fill = by_channel(fills(expected), axis)
    both = np.isfinite(e) & np.isfinite(g)
    odd = ~both & ~((e == g) | (np.isnan(e) & np.isnan(g)))
    with np.errstate(all="ignore"):
        gap = np.where(both, np.abs(g - e), 0.0)
    return Compared(e, gap, odd, fill, np.isfinite(e) & ~fill)


def saturated(expected: Array, got: Any) -> Array:
    """A number beyond the dtype of what was got is an infinity there."""
    dtype = np.asarray(got).dtype
    if dtype.name not in ("float16", "float32"):
        return expected
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = np.isinf(expected.astype(dtype))
        return np.where(beyond, np.sign(expected) * np.inf, expected) if beyond.any() else expected


def rounding_of(sample: Sample, axis: int | None) -> Rounding:
    """What rounding does on one input set."""
    c = compared(sample, axis)
    e, shape = c.expected, np.shape(sample.expected)
    peak, mean = np.zeros(len(e)), np.zeros(len(e))
    for way in sample.roundings:
        if np.shape(way) == shape:
            off = _off(way, e, axis)
            peak = np.maximum(peak, np.where(c.counted, off, 0.0).max(axis=1))
            mean = np.maximum(mean, rms(off, c.counted))
    if sample.optimised is not None and np.shape(sample.optimised) == shape:
        other = _off(sample.optimised, e, axis)
        peak = np.maximum(peak, np.minimum(np.where(c.counted, other, 0.0).max(axis=1), BELIEVED * peak))
        mean = np.maximum(mean, np.minimum(rms(other, c.counted), BELIEVED * mean))
    kept = np.where(c.counted, e, 0.0)
    sums = np.array([c.counted.sum(axis=1), kept.sum(axis=1), (kept**2).sum(axis=1)], np.float64)
    return Rounding(np.abs(kept).max(axis=1), peak, mean, sums)


def _off(rounded: Any, e: Array, axis: int | None) -> Array:
    """How far one way of rounding is off, per element; 0 where it is not finite."""
    with np.errstate(all="ignore"):
        off = by_channel(np.asarray(rounded).astype(np.float64, copy=False), axis) - e
    result: Array = np.abs(off, out=off)
    result[~np.isfinite(result)] = 0.0
    return result


def rms(gap: Array, counted: Array) -> Array:
    """Root mean square per channel, over what is counted."""
    number = np.maximum(counted.sum(axis=1), 1)
    with np.errstate(over="ignore"):
        result: Array = np.sqrt((np.where(counted, gap, 0.0) ** 2).sum(axis=1) / number)
    return result


def _usual_by_scale(rounding: Array, scale: Array) -> Array:
    """Per channel, the ninth decile (of very many the last fiftieth) of the rounding over the scale of those channels whose scales have the
    same half decade, times the scale: of many channels some are rounded well by chance. Nothing where such channels are few."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.floor(2 * np.log10(np.where(scale > TINY, scale, TINY)))
        ratios = np.where(scale > TINY, rounding / scale, 0.0)
    usual = np.zeros_like(ratios)
    for decade in np.unique(decades):
        members = decades == decade
        if members.sum() >= FEW_CHANNELS:
            usual[members] = np.quantile(ratios[members], 0.9 if members.sum() < MANY_CHANNELS else 0.98)
    result: Array = usual * scale
    return result


def _pooled(roundings: Sequence[Array], scales: Sequence[Array]) -> list[Array]:
    """Per set and channel, at least the largest rounding over the scale of all sets, times the scale of this one."""
    with np.errstate(all="ignore"):
        ratios = [np.where(scale > TINY, one / scale, 0.0) for one, scale in zip(roundings, scales, strict=True)]
    most = np.max(ratios, axis=0)
    return [np.maximum(one, most * scale) for one, scale in zip(roundings, scales, strict=True)]


class Allowance:
    """What is allowed of a tensor, from its rounding on all input sets (of one shape)."""

    def __init__(self, samples: Sequence[Sample], axis: int | None, terms: Terms) -> None:
        self._axis, self._terms = axis, terms
        self.unit = UNITS.get(np.asarray(samples[0].got).dtype.name, UNITS["float16"])
        self.roundings = [rounding_of(sample, axis) for sample in samples]
        self._peaks = [np.maximum(r.peak, _usual_by_scale(r.peak, r.scale)) for r in self.roundings]
        self._means = [np.maximum(r.mean, _usual_by_scale(r.mean, r.scale)) for r in self.roundings]
        if terms.pooled:
            scales = [r.scale for r in self.roundings]
            self._peaks, self._means = _pooled(self._peaks, scales), _pooled(self._means, scales)
        self._loose = self._spread() * terms.loose

    def _spread(self) -> Array:
        """Standard deviation of what is expected, per channel, over all sets; the scale where that is 0."""
        number, total, squares = np.sum([r.sums for r in self.roundings], axis=0)
        number = np.maximum(number, 1)
        spread = np.sqrt(np.maximum(squares / number - (total / number) ** 2, 0.0))
        result: Array = np.where(spread > 0, spread, np.max([r.scale for r in self.roundings], axis=0))
        return result

    @property
    def scale(self) -> float:
        """The largest number of all places and sets that is no fill: an output that is small on one set is no smaller than that elsewhere,
        and what its operators round is of that size."""
        return max(float(r.scale.max()) for r in self.roundings)

    @property
    def largest(self) -> float:
        """The largest rounding of all places."""
        return max(float(r.peak.max()) for r in self.roundings)

    def of_elements(self, k: int, sample: Sample, c: Compared) -> Array:
        """Per element of the k-th sample. A fill is judged by its own rounding."""
        r = self.roundings[k]
        place = self._terms.largest * self._peaks[k] + ULPS * self.unit * r.scale + self._loose + self._terms.step + TINY
        if not c.fill.any():
            return np.broadcast_to(place[:, None], c.gap.shape)
        ways = [_off(way, c.expected, self._axis) for way in sample.roundings if np.shape(way) == np.shape(sample.expected)]
        own = np.max(ways, axis=0) if ways else np.zeros_like(c.gap)
        alone = self._terms.largest * own + ULPS * self.unit * np.abs(np.where(np.isfinite(c.expected), c.expected, 0.0))
        result: Array = np.where(c.fill, alone, place[:, None])
        return result

    def on_average(self, k: int, times: float) -> Array:
        """Per channel of the k-th sample: the root mean square that `times` the rounding allows."""
        r = self.roundings[k]
        result: Array = times * self._means[k] + AVERAGE_ULPS * self.unit * r.scale + self._loose + self._terms.step / 2 + TINY
        return result
