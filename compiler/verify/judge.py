"""Whether a tensor is what the reference says, up to rounding. Judged place by place: a channel or a row has a scale and a rounding of its
own, so that nothing small hides behind something large.

Rounding is measured, never assumed: how far the untouched model is from its float64 evaluation when it is computed in its own dtypes (by
onnxruntime with and without its optimisations, and with random rounding), or with every number in fp16 where a device computes in that.
Whatever was measured, some differences are never rounding: a number that is not finite where the reference is, a turned direction, many
elements far off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..differing_digits import differing
from .compare import TensorDifference, Worst, cosine_of, difference, is_real, items
from .places import channel_axis, index_of
from .roundings import Allowance, Compared, compared, rms, saturated
from .terms import ENOUGH, EXACT, FAR, FEW, MANY, TINY, Sample, Terms
from .whole_numbers import whole_fault


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
    if not isinstance(sample.got, (list, tuple)) or len(sample.got) != len(sample.expected):
        return [sample]
    pairs = items(sample.expected, sample.got)
    rounded = [r for r in sample.roundings if isinstance(r, (list, tuple)) and len(r) == len(pairs)]
    return [Sample(sample.inputs, e, g, tuple(r[k] for r in rounded)) for k, (e, g) in enumerate(pairs)]


def _unequal(sample: Sample) -> str:
    """What is wrong with the shape of what was got; "" if nothing is."""
    e, g = sample.expected, sample.got
    if (e is None) != (g is None):
        return f"is {'absent' if g is None else 'present'} on {sample.inputs}"
    if isinstance(e, (list, tuple)) or isinstance(g, (list, tuple)):
        return f"has {len(g)} tensors, not {len(e)}, on {sample.inputs}"
    return "" if np.shape(e) == np.shape(g) else f"has the shape {list(np.shape(g))}, not {list(np.shape(e))}, on {sample.inputs}"


def _judged(found: TensorDifference, samples: Sequence[Sample], terms: Terms) -> TensorDifference:
    """Of samples of one shape; an earlier fault stays."""
    if found.fault or samples[0].expected is None or not np.asarray(samples[0].expected).size:
        return found
    if not is_real(samples[0].got):
        fault, worst = whole_fault(found.name, [(s.inputs, s.expected, s.got, s.roundings) for s in samples])
        return replace(found, fault=fault, worst=worst or found.worst)
    return _Judgement(found.name, samples, terms).applied_to(found)


BEYOND = 1e9
"""`excess` of what no rounding explains."""
PLAIN = 2
"""Rank from which on a fault depends on what was measured; those before it are faults whatever was."""


@dataclass(frozen=True, slots=True)
class _Excess:
    """The element with the largest part of what is allowed there."""

    worst: Worst
    off: float
    allowed: float


class _Judgement:
    """Of one tensor of real numbers."""

    def __init__(self, name: str, samples: Sequence[Sample], terms: Terms) -> None:
        self.name, self.samples, self.terms = name, samples, terms
        arrays = [saturated(np.asarray(s.expected, np.float64), s.got) for s in samples]
        self.axis = channel_axis(arrays) if arrays[0].ndim else None
        self.allowance = Allowance(samples, self.axis, terms)

    def applied_to(self, found: TensorDifference) -> TensorDifference:
        excess, rank, fault = self._walk()
        rounding = self.allowance.largest
        spread = found.max_abs / found.max_abs_over_std if found.max_abs_over_std else 0.0
        return replace(
            found,
            rounding=max(found.rounding, rounding),
            rounding_over_std=max(found.rounding_over_std, rounding / spread if spread else 0.0),
            excess=max(found.excess, BEYOND if fault and rank < PLAIN else min(_part(excess), BEYOND) if excess else 0.0),
            worst=excess.worst if excess is not None and excess.off > 0 else found.worst,
            fault=fault,
        )

    def _walk(self) -> tuple[_Excess | None, int, str]:
        """The worst element of all samples, and the first fault in the order of how plain it is, with its rank there."""
        best: _Excess | None = None
        said: dict[int, str] = {}
        for k, sample in enumerate(self.samples):
            c = compared(sample, self.axis)
            excess = self._worst(k, sample, c)
            if best is None or _part(excess) > _part(best):
                best = excess
            for rank, fault in enumerate((self._odd(sample, c), self._turned(sample, c), "", self._dense(k, sample, c))):
                if fault:
                    said.setdefault(rank, fault)
        if best is not None and 1.0 < _part(best) < float("inf"):
            said[PLAIN] = self._large(best)
        decided = [rank for rank in sorted(said) if rank == 0 or not self.terms.free]
        return (best, decided[0], said[decided[0]]) if decided else (best, PLAIN, "")

    def _worst(self, k: int, sample: Sample, c: Compared) -> _Excess:
        allowed = self.allowance.of_elements(k, sample, c)
        part = np.where(c.odd, np.inf, c.gap / allowed)
        channel, element = (int(n) for n in np.unravel_index(int(np.argmax(part)), part.shape))
        index = index_of(channel, element, np.shape(sample.expected), self.axis)
        off = float("inf") if c.odd[channel, element] else float(c.gap[channel, element])
        return _Excess(_shown(sample, index), off, float(allowed[channel, element]))

    def _odd(self, sample: Sample, c: Compared) -> str:
        if not c.odd.any():
            return ""
        channel, element = (int(n) for n in np.unravel_index(int(np.argmax(c.odd)), c.odd.shape))
        first = _shown(sample, index_of(channel, element, np.shape(sample.expected), self.axis))
        return f"{self.name}: {int(c.odd.sum())} of {c.odd.size} elements do not match (NaN or infinite on one side only), first {first}"

    def _turned(self, sample: Sample, c: Compared) -> str:
        """What no rounding explains, however much of it was measured."""
        counted = c.counted & ~c.odd
        e, gap = c.expected[counted], c.gap[counted]
        if e.size < 2 or not gap.max() > FEW * self.allowance.unit * self.allowance.scale + TINY:
            return ""
        got = np.asarray(sample.got).astype(np.float64)
        g = (np.moveaxis(got, self.axis, 0).reshape(c.gap.shape) if self.axis is not None else got.reshape(c.gap.shape))[counted]
        cosine = cosine_of(e, g)
        if cosine < self.terms.cosine:
            shown, least = differing(cosine, self.terms.cosine)
            return f"{self.name} has cosine {shown} with what is expected on {sample.inputs}, below the minimum {least}"
        far = float((gap > FAR * e.std() + FEW * self.allowance.unit * self.allowance.scale).mean())
        if e.size >= MANY and far > self.terms.far:
            most = f"{self.terms.far:.0%} are the most"
            return f"{far:.1%} of {self.name} are off by more than {FAR:g} standard deviations on {sample.inputs}, {most}"
        return ""

    def _large(self, excess: _Excess) -> str:
        off, most = differing(excess.off, excess.allowed)
        why = f"{self.terms.largest:g} times {self.terms.rounding} there"
        if self.terms.loose:
            why += f", and {self.terms.loose:g} of its standard deviation for approximations"
        if self.terms.step:
            why += f", and a step of {self.terms.step:.3g} of its grid"
        return f"{self.name} is off by {off} {excess.worst}; allowed: {most} ({why})"

    def _dense(self, k: int, sample: Sample, c: Compared) -> str:
        """A tensor or a channel that is off by more than rounding as a whole, though no element of it alone."""
        for channel, off, limit, times in self._averages(k, c):
            if off > limit:
                where = "" if channel is None or self.axis is None else f" [{','.join([':'] * self.axis + [str(channel)])}]"
                shown, most = differing(off, limit)
                why = f"{times:g} times {self.terms.rounding}"
                return f"{self.name}{where} is off by {shown} on average (root mean square) on {sample.inputs}; allowed: {most} ({why})"
        return ""

    def _averages(self, k: int, c: Compared) -> Iterator[tuple[int | None, float, float, float]]:
        """(channel, root mean square, what is allowed of it, how many times rounding that is): the worst channel, then all together."""
        if c.gap.size < ENOUGH:
            return
        if c.gap.shape[1] >= ENOUGH and len(c.gap) > 1:
            off, limit = rms(c.gap, c.counted), self.allowance.on_average(k, self.terms.channel)
            channel = int(np.argmax(off / limit))
            yield channel, float(off[channel]), float(limit[channel]), self.terms.channel
        limit = self.allowance.on_average(k, self.terms.mean)
        share = np.where(c.counted, c.gap / limit[:, None], 0.0)
        part = float(np.sqrt((share**2).sum() / max(int(c.counted.sum()), 1)))
        whole = float(np.sqrt((limit**2).mean()))
        yield None, part * whole, whole, self.terms.mean


def _part(excess: _Excess) -> float:
    return excess.off / excess.allowed


def _shown(sample: Sample, index: tuple[int, ...]) -> Worst:
    expected, got = float(np.asarray(sample.expected)[index]), float(np.asarray(sample.got)[index])
    digits = differing(expected, got) if np.isfinite([expected, got]).all() else (f"{expected:.6g}", f"{got:.6g}")
    return Worst(inputs=sample.inputs, index=index, expected=digits[0], got=digits[1])
