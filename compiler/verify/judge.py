"""Whether measured differences are small enough: against a tolerance, or against the limits the target states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..bundle.manifest import LimitRecord
from .compare import TensorDifference

TOLERANCE = 1e-4
"""Largest difference over the output's standard deviation, where no approximation was taken."""
SPREAD = 3.0
"""An output may also be off by this many times the model's own rounding: what onnxruntime's optimisations change in the untouched model.
Deep networks with saturated outputs differ by 1e-3 of a standard deviation and more between two runs of onnxruntime itself."""
APPROXIMATE = 0.1
"""The same where approximations were taken and the target states no limit: beyond it something is wrong, not approximate."""


NARROW = 10.0
"""Where a device computed in fp16, an output may be off by this many times what rounding every number of the untouched model to fp16
changes: accumulating in fp16 adds to rounding (up to 8 times it on a convolutional model, 3 times on transformers), a wrong kernel gives
hundreds of times."""
NARROW_COSINE = 0.99
"""And its direction must stay: some models lose all meaning in fp16, and then the rounding is no measure."""


def measured(outputs: Sequence[TensorDifference]) -> dict[tuple[str, str], float]:
    """Worst values by (kind, subject) of the limits they answer."""
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
    """What the outputs break, and the first boundary at which it shows. `narrow`: a device computed in fp16, and `rounding` of the
    outputs is what that does to the untouched model."""
    allowed = APPROXIMATE if tolerance is None or narrow else tolerance
    reasons = []
    for d in outputs:
        if narrow and not d.mismatched and d.cosine < NARROW_COSINE:
            least = f"{NARROW_COSINE:g} is the least"
            reasons.append(
                f"{d.name} points elsewhere: cosine {d.cosine:.3g} ({least}), off by {d.max_abs:.3g} (fp16 alone: {d.rounding:.3g})"
            )
        elif narrow and not d.mismatched:
            if tolerance is not None and d.max_abs_over_std > tolerance and d.max_abs > NARROW * d.rounding:
                times = f"{d.max_abs / max(d.rounding, 1e-30):.3g} times what fp16 explains"
                reasons.append(f"{d.name} is off by {d.max_abs:.3g}, {times} ({NARROW:g} times are allowed: {NARROW * d.rounding:.3g})")
        elif d.mismatched > (0 if tolerance == TOLERANCE and not narrow else APPROXIMATE * d.elements):
            reasons.append(f"{d.mismatched} of {d.elements} elements of {d.name} differ in kind (NaN, infinite, whole numbers, shape)")
        elif tolerance is not None and d.max_abs_over_std > tolerance and d.max_abs > SPREAD * d.rounding:
            share = f"{d.max_abs_over_std:.3g} of its standard deviation"
            own = f"; the model's own rounding is {d.rounding:.3g}" if d.rounding else ""
            reasons.append(f"{d.name} is off by {d.max_abs:.3g}, {share} ({tolerance:g} allowed{own})")
    if reasons:
        first = next((d.name for d in boundaries if d.mismatched or d.max_abs_over_std > allowed), None)
        reasons += [f"first seen between segments at {first}"] if first else []
    return reasons


def narrow_limits(outputs: Sequence[TensorDifference], tolerance: float | None) -> str:
    """What outputs are held to where a device computed in fp16, in words; the numbers that `beyond` decides by."""
    least = f"cosine of each >= {NARROW_COSINE:g}"
    if tolerance is None:
        return f"{least}, within the target's limits"
    allowed = [f"{d.name}: {_narrow_limit(d)}" for d in outputs if d.rounding]
    besides = f", or {NARROW:g} times what fp16 rounding changes ({'; '.join(allowed)})" if allowed else ""
    return f"{least}, each within {tolerance:g} of a standard deviation{besides}"


def _narrow_limit(d: TensorDifference) -> str:
    limit = f"{d.max_abs:.3g} of {NARROW * d.rounding:.3g} allowed"
    return f"{limit}, more than its standard deviation: only the cosine decides" if NARROW * d.rounding_over_std > 1 else limit


def held(limits: Sequence[LimitRecord], outputs: Sequence[TensorDifference]) -> tuple[LimitRecord, ...]:
    """The target's accuracy and error limits with what was measured."""
    values = measured(outputs)
    found = []
    for limit in limits:
        value = values.get((limit.kind, limit.subject))
        if value is not None:
            margin = limit.limit - value if limit.comparison.startswith("<") else value - limit.limit
            found.append(replace(limit, basis="measured", value=value, margin=margin))
    return tuple(found)


def broken_limits(limits: Sequence[LimitRecord]) -> tuple[LimitRecord, ...]:
    """The measured limits that do not hold."""

    def holds(limit: LimitRecord) -> bool:
        margin = limit.margin or 0.0
        return margin > 0 or (margin == 0 and "=" in limit.comparison)

    return tuple(limit for limit in limits if not holds(limit))


def broken(limits: Sequence[LimitRecord]) -> list[str]:
    """The measured limits that do not hold, one sentence each."""
    return [f"{x.kind} {x.subject} {x.comparison} {x.limit:g} ({x.origin}) is broken: measured {x.value:g}" for x in broken_limits(limits)]
