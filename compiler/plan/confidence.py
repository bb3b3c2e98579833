"""What measurements say of a plan's prediction: the record of the manifest, and the limits that it does not prove to be kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from msgspec import structs

from ...passes.place.confidence import confidence
from ...targets.model import Target
from ..bundle.confidence_record import CalibrationRecord, ConfidenceRecord, UncoveredRecord
from ..bundle.manifest import LimitRecord
from ..quantities import amount, percent
from .segment_times import SegmentTime

TIMED = ("latency", "energy", "fps")
"""Kinds of limit that rest on predicted seconds."""
NOT_CALIBRATED = "the target is not calibrated for this model"


def confidence_of(target: Target, times: Sequence[SegmentTime], handoff: float, latency: float) -> ConfidenceRecord | None:
    """Of a plan of these segments, predicted to take `latency` seconds, `handoff` of them between its segments; None where no device that
    it uses is calibrated."""
    found = confidence(target, times, handoff, latency)
    if found is None:
        return None
    return ConfidenceRecord(
        latency=latency,
        half_width=found.half_width,
        outside=found.outside,
        calibrated=found.calibrated,
        calibrations=tuple(CalibrationRecord(device=device, note=note) for device, note in found.calibrations),
        uncovered=tuple(UncoveredRecord(**dataclasses.asdict(one)) for one in found.uncovered),
    )


def with_doubts(limits: Sequence[LimitRecord], found: ConfidenceRecord | None) -> tuple[LimitRecord, ...]:
    """The limits, those of time and energy with why the prediction does not prove them; a plan without measurements is left as it is."""
    return tuple(limits) if found is None else tuple(structs.replace(limit, unproven=_doubt(limit, found)) for limit in limits)


def _doubt(limit: LimitRecord, found: ConfidenceRecord) -> str:
    if limit.value is None or limit.kind not in TIMED:
        return ""
    if not found.calibrated:
        return f"{NOT_CALIBRATED}: {percent(found.outside)} of the latency is outside what was measured"
    if found.half_width is None:
        return "the calibration states no interval"
    worst = limit.value / (1 + found.half_width) if limit.kind == "fps" else limit.value * (1 + found.half_width)
    kept = worst >= limit.limit if limit.kind == "fps" else worst <= limit.limit
    return "" if kept else f"the interval reaches {amount(limit.kind, worst)}"
