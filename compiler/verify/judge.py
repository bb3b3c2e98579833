"""Whether a tensor is what the reference says, up to rounding. Judged place by place: a channel or a row has a scale and a rounding of its
own, so that nothing small hides behind something large.

Rounding is measured, never assumed: how far the untouched model is from its float64 evaluation when it is computed in its own dtypes (by
onnxruntime with and without its optimisations, and with random rounding), or with every number in fp16 where a device computes in that.
Whatever was measured, some differences are never rounding: a number that is not finite where the reference is, a turned direction, many
elements far off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..differing_digits import differing
from .compare import TensorDifference, Worst, cosine_of, difference, is_real, items
from .places import by_channel, channel_axis, fills, index_of
from .whole_numbers import whole_fault

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

ULPS = 8.0
"""Unit roundoffs of the largest number of a place that are always allowed: a form with a few more operators rounds a few more times."""
UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
COSINE = 0.99
"""Of each output with the expected one, at least: beyond that no rounding was measured, a model was destroyed."""
FAR, MOST_FAR = 0.25, 0.02
"""Standard deviations from which on an element is far off, and the share of an output that may be, for outputs of MANY elements."""
BELIEVED = 4.0
MANY = 50
ENOUGH = 16
"""Elements of a place from which on its root mean square says something."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A tensor on one input set."""

    inputs: str
    expected: Any
    """By the reference: float64, or whole numbers and strings as they are; a list for a sequence."""
    got: Any
    roundings: tuple[Any, ...] = ()
    """The untouched model rounded in other ways."""
    optimised: Any = None
    """The untouched model in another order of its arithmetic, as onnxruntime's optimiser leaves it. That may be wrong, so it counts for no
    more than BELIEVED times what the others say of a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How strict a judgement is."""

    largest: float = 3.0
    """An element may be off by this many times the largest rounding of its place."""
    mean: float = 2.0
    """And the root mean square over a place by this many times that of its rounding: it varies far less."""
    loose: float = 0.0
    """Standard deviations of its place that an element may be off besides, where approximations were taken."""
    free: bool = False
    """The target's own limits decide how far off numbers may be."""
    rounding: str = "the model's own rounding"
    """What was measured, in words."""


EXACT = Terms()
NARROW = Terms(largest=10.0, mean=5.0, rounding="what rounding to fp16 changes")
"""Where a device computed in fp16: accumulating in fp16 adds to rounding (up to 8 times it on a convolutional model, 3 times on
transformers), a wrong kernel gives hundreds of times."""
APPROXIMATE = 0.1
"""`loose` where approximations were taken and the target states no limit: beyond it something is wrong, not approximate."""


def judge(name: str, samples: Sequence[Sample], terms: Terms = EXACT) -> TensorDifference:
    """The measured difference of a tensor over all its samples (at least one), with `fault` where it is more than `terms` allow."""
    flat = [one for sample in samples for one in _items(sample)]
    found = difference(name, [(sample.expected, sample.got) for sample in flat])
    if unequal := next(filter(None, map(_unequal, flat)), ""):
        return replace(found, fault=f"{name} {unequal}")
    groups: dict[tuple[int, ...], list[Sample]] = {}
    for sample in flat:
        groups.setdefault(np.shape(sample.expected), []).append(sample)
    for group in groups.values():
        found = _judged(found, group, terms)
    return found


def _items(sample: Sample) -> list[Sample]:
    """A sequence as its tensors."""
    if not isinstance(sample.expected, (list, tuple)):
        return [sample]
    pairs = items(sample.expected, sample.got)
    if pairs == [(sample.expected, sample.got)]:  # of another length
        return [sample]
    rounded = [r for r in sample.roundings if isinstance(r, (list, tuple)) and len(r) == len(pairs)]
    return [Sample(sample.inputs, e, g, tuple(r[k] for r in rounded)) for k, (e, g) in enumerate(pairs)]


def _unequal(sample: Sample) -> str:
    """What is wrong with the shape of what was got; "" if nothing is."""
    e, g = sample.expected, sample.got
    if isinstance(e, (list, tuple)) or isinstance(g, (list, tuple)):
        return f"has {len(g)} tensors, not {len(e)}, on {sample.inputs}"
    if (e is None) != (g is None):
        return f"{'is absent' if g is None else 'is present'} on {sample.inputs}"
    return "" if np.shape(e) == np.shape(g) else f"has the shape {list(np.shape(g))}, not {list(np.shape(e))}, on {sample.inputs}"


def _judged(found: TensorDifference, samples: Sequence[Sample], terms: Terms) -> TensorDifference:
    """Of samples of one shape; an earlier fault stays."""
    if found.fault or samples[0].expected is None or not np.asarray(samples[0].expected).size:
        return found
    if not is_real(samples[0].got):
        fault, worst = whole_fault(found.name, [(s.inputs, s.expected, s.got, s.roundings) for s in samples])
        return replace(found, fault=fault, worst=worst or found.worst)
    return _Places(samples, terms).apply(found)


@dataclass(slots=True)
class _Measured:
    """One sample, as [channels, elements]."""

    expected: Array
    gap: Array
    """|got - expected|, 0 where they are equal or not both finite."""
    odd: Array
    """Not finite where the reference is, or the other way round."""
    fill: Array
    rounding: Array
    """The largest of the ways to round."""
    scale: Array
    """Per channel: largest |expected| that is no fill."""
    peak: Array
    """Per channel: largest rounding of an element that is no fill."""
    mean: Array
    """Per channel: the largest root mean square of a way to round."""


class _Places:
    def __init__(self, samples: Sequence[Sample], terms: Terms) -> None:
        self.samples, self.terms = samples, terms
        self.tiny = float(np.finfo(np.float32).tiny)  # what is smaller than that, some kernels flush to zero
        self.unit = UNITS.get(np.asarray(samples[0].got).dtype.name, UNITS["float16"])
        arrays = [_saturated(np.asarray(s.expected, np.float64), s.got) for s in samples]
        self.axis = channel_axis(arrays) if arrays[0].ndim else None
        self.measured = [self._measure(s, e) for s, e in zip(samples, arrays, strict=True)]
        self._typical = self._relative("peak"), self._relative("mean")

    def _measure(self, sample: Sample, expected: Array) -> _Measured:
        e, g = by_channel(expected, self.axis), by_channel(np.asarray(sample.got).astype(np.float64), self.axis)
        fill = by_channel(fills(expected), self.axis)
        both = np.isfinite(e) & np.isfinite(g)
        odd = ~both & ~((e == g) | (np.isnan(e) & np.isnan(g)))
        counted = np.isfinite(e) & ~fill
        with np.errstate(all="ignore"):
            gap = np.where(both, np.abs(g - e), 0.0)
        ways = [self._way(way, e) for way in sample.roundings if np.shape(way) == expected.shape]
        rounding = np.max(ways, axis=0) if ways else np.zeros_like(e)
        peak = np.where(counted, rounding, 0.0).max(axis=1)
        mean = np.max([_rms(way, counted) for way in ways], axis=0) if ways else np.zeros(len(e))
        if sample.optimised is not None and np.shape(sample.optimised) == expected.shape:
            other = self._way(sample.optimised, e)
            peak = np.maximum(peak, np.minimum(np.where(counted, other, 0.0).max(axis=1), BELIEVED * peak))
            mean = np.maximum(mean, np.minimum(_rms(other, counted), BELIEVED * mean))
        scale = np.where(counted, np.abs(e), 0.0).max(axis=1)
        return _Measured(e, gap, odd, fill, rounding, scale, peak, mean)

    def _way(self, rounded: Any, e: Array) -> Array:
        """How far one way of rounding is off, per element; 0 where it is not finite."""
        with np.errstate(all="ignore"):
            off = np.abs(by_channel(np.asarray(rounded).astype(np.float64), self.axis) - e)
        result: Array = np.where(np.isfinite(off), off, 0.0)
        return result

    def _relative(self, what: str) -> Array:
        """Per channel, what rounding is typically over the scale: of all channels and sets the median, and of this channel's sets the
        largest, if it has few elements: one number is rounded well by chance."""
        ratios = np.array([np.divide(getattr(m, what), m.scale, out=np.zeros_like(m.scale), where=m.scale > 0) for m in self.measured])
        known = ratios[np.array([m.scale > 0 for m in self.measured])]
        typical = float(np.median(known)) if known.size else 0.0
        few = self.measured[0].gap.shape[1] < 4 * ENOUGH
        own = ratios.max(axis=0) if few else np.median(ratios, axis=0)
        result: Array = np.maximum(own, typical)
        return result

    def apply(self, found: TensorDifference) -> TensorDifference:
        rounding = max(float(m.peak.max()) for m in self.measured)
        spread = found.max_abs / found.max_abs_over_std if found.max_abs_over_std else 0.0
        found = replace(found, rounding=max(found.rounding, rounding), rounding_over_std=rounding / spread if spread else 0.0)
        worst, excess, allowed = self._worst()
        found = replace(found, worst=worst if excess > 0 else found.worst)
        fault = self._odd(found.name) or self._turned(found.name)
        if not fault and not self.terms.free:
            fault = self._large(found.name, worst, excess, allowed) or self._dense(found.name)
        return replace(found, fault=fault)

    def _allowed(self, m: _Measured) -> Array:
        """Per element."""
        peak = np.maximum(m.peak, self._typical[0] * m.scale)
        place = self.terms.largest * peak + ULPS * self.unit * m.scale + self._loose(m) + self.tiny
        alone = self.terms.largest * m.rounding + ULPS * self.unit * np.abs(np.where(np.isfinite(m.expected), m.expected, 0.0))
        result: Array = np.where(m.fill, alone, place[:, None])
        return result

    def _loose(self, m: _Measured) -> Array:
        """Per channel, what approximations may add."""
        if not self.terms.loose:
            return np.zeros(len(m.scale))
        every = [np.where(np.isfinite(one.expected) & ~one.fill, one.expected, np.nan) for one in self.measured]
        with np.errstate(all="ignore"):
            spread = np.nan_to_num(np.nanstd(np.concatenate(every, axis=1), axis=1))
        result: Array = self.terms.loose * np.where(spread > 0, spread, m.scale)
        return result

    def _worst(self) -> tuple[Worst, float, float]:
        """The element with the largest part of what is allowed there: (it, that part, what is allowed)."""
        best = (-1.0, 0, 0, 0, 0.0)
        for k, m in enumerate(self.measured):
            allowed = self._allowed(m)
            part = np.where(m.odd, np.inf, m.gap / np.maximum(allowed, np.finfo(float).tiny))
            channel, element = np.unravel_index(int(np.argmax(part)), part.shape)
            if part[channel, element] > best[0]:
                best = (float(part[channel, element]), k, int(channel), int(element), float(allowed[channel, element]))
        part, k, channel, element, allowed = best
        sample = self.samples[k]
        index = index_of(channel, element, np.shape(sample.expected), self.axis)
        expected, got = np.asarray(sample.expected)[index], np.asarray(sample.got)[index]
        digits = differing(float(expected), float(got)) if np.isfinite([float(expected), float(got)]).all() else (f"{expected}", f"{got}")
        return Worst(inputs=sample.inputs, index=index, expected=digits[0], got=digits[1]), part, allowed

    def _odd(self, name: str) -> str:
        for sample, m in zip(self.samples, self.measured, strict=True):
            if m.odd.any():
                channel, element = np.unravel_index(int(np.argmax(m.odd)), m.odd.shape)
                index = index_of(int(channel), int(element), np.shape(sample.expected), self.axis)
                expected, got = np.asarray(sample.expected)[index], np.asarray(sample.got)[index]
                count = f"{int(m.odd.sum())} of {m.odd.size} elements do not match (NaN or infinite on one side only)"
                return f"{name}: {count}, first at {_place(index)} on {sample.inputs}: expected {float(expected):.6g}, got {float(got):.6g}"
        return ""

    def _turned(self, name: str) -> str:
        """What no rounding explains, however much of it was measured."""
        for sample, m in zip(self.samples, self.measured, strict=True):
            counted = np.isfinite(m.expected) & ~m.fill & ~m.odd
            e = m.expected[counted]
            g = by_channel(np.asarray(sample.got).astype(np.float64), self.axis)[counted]
            if e.size < 2 or not np.abs(m.gap[counted]).max() > ULPS * self.unit * np.abs(e).max():
                continue
            cosine = cosine_of(e, g)
            if cosine < COSINE:
                shown, least = differing(cosine, COSINE)
                return f"{name} has cosine {shown} with what is expected on {sample.inputs}, below the minimum {least}"
            far = float((m.gap[counted] > FAR * e.std()).mean())
            if e.size >= MANY and far > MOST_FAR:
                return (
                    f"{far:.1%} of {name} are off by more than {FAR:g} standard deviations on {sample.inputs}, {MOST_FAR:.0%} are the most"
                )
        return ""

    def _large(self, name: str, worst: Worst, part: float, allowed: float) -> str:
        if part <= 1.0:
            return ""
        off, most = differing(part * allowed, allowed)
        why = f"{self.terms.largest:g} times {self.terms.rounding} there"
        if self.terms.loose:
            why += f", and {self.terms.loose:g} of its standard deviation for approximations"
        return f"{name} is off by {off} {worst}; allowed: {most} ({why})"

    def _dense(self, name: str) -> str:
        """A tensor or a channel that is off by more than rounding as a whole, though no element of it alone."""
        for sample, m in zip(self.samples, self.measured, strict=True):
            counted = np.isfinite(m.expected) & ~m.fill
            extra = ULPS / 2 * self.unit * m.scale + self._loose(m) + self.tiny
            mean = np.maximum(m.mean, self._typical[1] * m.scale)
            off = _rms(m.gap, counted)
            if m.gap.shape[1] >= ENOUGH and (off > self.terms.largest * mean + extra).any():
                channel = int(np.argmax(off - self.terms.largest * mean - extra))
                limit = float((self.terms.largest * mean + extra)[channel])
                return self._on_average(name, sample, float(off[channel]), limit, self.terms.largest, channel)
            if m.gap.size < ENOUGH:
                continue
            parts = np.where(counted, m.gap / (self.terms.mean * mean + extra)[:, None], 0.0)
            part = float(np.sqrt((parts**2).sum() / max(int(counted.sum()), 1)))
            if part > 1.0:
                limit = float(np.sqrt(((self.terms.mean * mean + extra) ** 2).mean()))
                return self._on_average(name, sample, part * limit, limit, self.terms.mean)
        return ""

    def _on_average(self, name: str, sample: Sample, off: float, limit: float, times: float, channel: int | None = None) -> str:
        where = "" if channel is None or self.axis is None else f" [{','.join([':'] * self.axis + [str(channel)])}]"
        shown, most = differing(off, limit)
        why = f"{times:g} times {self.terms.rounding}"
        return f"{name}{where} is off by {shown} on average (root mean square) on {sample.inputs}; allowed: {most} ({why})"


def _place(index: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, index))}]"


def _saturated(expected: Array, got: Any) -> Array:
    """A number beyond the dtype of what was got is an infinity there."""
    dtype = np.asarray(got).dtype
    if dtype.name not in ("float16", "float32"):
        return expected
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.isinf(expected.astype(dtype)), np.sign(expected) * np.inf, expected)


def _rms(gap: Array, counted: Array) -> Array:
    number = np.maximum(counted.sum(axis=1), 1)
    result: Array = np.sqrt((np.where(counted, gap, 0.0) ** 2).sum(axis=1) / number)
    return result
