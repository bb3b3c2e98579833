"""Whether measured differences are small enough: within a tolerance, or within the limits that the target states."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ..bundle.manifest import LimitRecord
from ..differing_digits import differing
from .compare import TensorDifference

TOLERANCE = 1e-4
"""Largest difference over the output's standard deviation, where no approximation was taken."""
SPREAD = 3.0
"""An output may also be off by this many times the model's own rounding: what onnxruntime's optimisations change in the untouched model.
Deep networks with saturated outputs differ by 1e-3 of a standard deviation and more between two runs of onnxruntime itself."""
APPROXIMATE = 0.1
"""TOLERANCE where approximations were taken and the target states no limit: beyond it something is wrong, not approximate."""


NARROW = 10.0
"""Where a device computed in fp16, an output may be off by this many times what rounding every number of the untouched model to fp16
changes: accumulating in fp16 adds to rounding (up to 8 times it on a convolutional model, 3 times on transformers), a wrong kernel gives
hundreds of times."""
NARROW_COSINE = 0.99
"""And its cosine with the expected output must be at least this: where fp16 destroys a model, its rounding bounds nothing."""


def measured(outputs: Sequence[TensorDifference]) -> dict[tuple[str, str], float]:
    """The worst values of all outputs, by (kind, subject) of the limits that are about them."""
    return {
        ("accuracy", "cosine"): min((d.cosine for d in outputs), default=1.0),
        ("error", "abs"): max((d.max_abs for d in outputs), default=0.0),
        ("error", "rel"): max((d.max_rel for d in outputs), default=0.0),
    }


def suspicious(outputs: Sequence[TensorDifference]) -> tuple[str, ...]:
    """Outputs beyond the tolerance of exact bundles: for these the model's own rounding is worth measuring."""
    return tuple(d.name for d in outputs if d.max_abs_over_std > TOLERANCE)


def beyond(
    outputs: Sequence[TensorDifference], boundaries: Sequence[TensorDifference], tolerance: float | None, narrow: bool = False
) -> list[str]:
    """One sentence per output that is too far off, then the first boundary that is.

    tolerance: on `max_abs_over_std`; None where limits of the target decide. narrow: a device computed in fp16, and `rounding` of the
    outputs is what that does to the untouched model."""
    allowed = APPROXIMATE if tolerance is None or narrow else tolerance
    reasons = [reason for d in outputs if (reason := _excess_narrow(d, tolerance) if narrow else _excess(d, tolerance))]
    if reasons:
        first = next((d.name for d in boundaries if d.mismatched or d.max_abs_over_std > allowed), None)
        reasons += [f"the first tensor between segments that differs is {first}"] if first else []
    return reasons


def _excess(d: TensorDifference, tolerance: float | None) -> str:
    """Why an output is too far off where nothing computed in fp16; "" if it is not."""
    if d.mismatched > (0 if tolerance == TOLERANCE else APPROXIMATE * d.elements):
        return f"{d.name}: {d.mismatch}"
    if tolerance is None or d.max_abs_over_std <= tolerance or d.max_abs <= SPREAD * d.rounding:
        return ""
    share, most = differing(d.max_abs_over_std, tolerance)
    off, own = differing(d.max_abs, SPREAD * d.rounding)
    besides = f", or {own} ({SPREAD:g} times the model's own rounding)" if d.rounding else ""
    return f"{d.name} is off by {off}, {share} of its standard deviation; allowed: {most} of it{besides}"


def _excess_narrow(d: TensorDifference, tolerance: float | None) -> str:
    """The same where a device computed in fp16."""
    if d.mismatched:
        return f"{d.name}: {d.mismatch}" if d.mismatched > APPROXIMATE * d.elements else ""
    if d.cosine < NARROW_COSINE:
        cosine, least = differing(d.cosine, NARROW_COSINE)
        off, fp16 = differing(d.max_abs, d.rounding)
        return f"{d.name} has cosine {cosine}, below the minimum {least} (off by {off}, where rounding to fp16 alone changes {fp16})"
    most = NARROW * d.rounding
    if tolerance is None or d.max_abs_over_std <= tolerance or d.max_abs <= most:
        return ""
    off, limit = differing(d.max_abs, most)
    return f"{d.name} is off by {off}, more than {limit}: {NARROW:g} times what rounding to fp16 alone changes"


def narrow_limits(outputs: Sequence[TensorDifference], tolerance: float | None) -> str:
    """The limits of outputs where a device computed in fp16, in words: the numbers that `beyond` decides by."""
    least = f"cosine of each >= {NARROW_COSINE:g}"
    if tolerance is None:
        return f"{least}, within the target's limits"
    allowed = [f"{d.name}: {_narrow_limit(d)}" for d in outputs if d.rounding]
    besides = f", or {NARROW:g} times what fp16 rounding changes ({'; '.join(allowed)})" if allowed else ""
    return f"{least}, each within {tolerance:g} of a standard deviation{besides}"


def _narrow_limit(d: TensorDifference) -> str:
    off, most = differing(d.max_abs, NARROW * d.rounding)
    above = NARROW * d.rounding_over_std > 1
    return f"{off} of {most} allowed" + (", more than its standard deviation: only the cosine decides" if above else "")


def held(limits: Sequence[LimitRecord], outputs: Sequence[TensorDifference]) -> tuple[LimitRecord, ...]:
    """The target's accuracy and error limits with what was measured."""
    values = measured(outputs)
    found = []
    for limit in limits:
        value = values.get((limit.kind, limit.subject))
        if value is not None:
            margin = limit.limit - value if limit.comparison.startswith("<") else value - limit.limit
            found.append(structs.replace(limit, basis="measured", value=value, margin=margin))
    return tuple(found)


def broken_limits(limits: Sequence[LimitRecord]) -> tuple[LimitRecord, ...]:
    """The measured limits that do not hold."""

    def holds(limit: LimitRecord) -> bool:
        margin = limit.margin or 0.0
        return margin > 0 or (margin == 0 and "=" in limit.comparison)

    return tuple(limit for limit in limits if not holds(limit))


def broken(limits: Sequence[LimitRecord]) -> list[str]:
    """The measured limits that do not hold, one sentence each."""
    return [_broken(limit) for limit in broken_limits(limits)]


def _broken(limit: LimitRecord) -> str:
    value, required = differing(limit.value or 0.0, limit.limit)
    return f"{limit.kind} {limit.subject} is {value}, the target requires {limit.comparison} {required} ({limit.origin})"
