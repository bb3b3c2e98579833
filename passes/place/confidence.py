"""How far measurements support the latency predicted of a plan: its interval, and what share of it no measurement covers.

The interval is that of the calibration's hold-out (90 % of whole models lie in it). Seconds outside what was measured may be wrong by all
of themselves, so that

    half width = interval · (1 - outside) + outside
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ...targets.model import Device
from .placed import Placement
from .unit_time import unit_time

MOST_OUTSIDE = 0.1
"""Share of predicted seconds outside what was measured from which on a target counts as not calibrated for the model."""


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Predicted seconds that no measurement supports."""

    device: str
    reason: str
    seconds: float
    operators: int


@dataclass(frozen=True, slots=True)
class Confidence:
    """Of the latency of a plan that uses a calibrated device."""

    seconds: float
    interval: float | None
    """Half width of the 90 % interval as a share of the latency, all of it inside what was measured; None where the calibration states
    none."""
    uncovered: tuple[Uncovered, ...]
    """The most seconds first."""
    calibrations: tuple[tuple[str, str], ...]
    """(device, what was measured) of the calibrated devices in use."""

    @property
    def outside(self) -> float:
        """Share of the latency that is outside what was measured, 0..1."""
        return min(1.0, sum(one.seconds for one in self.uncovered) / self.seconds) if self.seconds else 0.0

    @property
    def calibrated(self) -> bool:
        """Whether the target is calibrated for the model."""
        return self.outside <= MOST_OUTSIDE

    @property
    def half_width(self) -> float | None:
        """Share of the latency by which it may be off; None where the target is not calibrated for the model, or states no interval."""
        if self.interval is None or not self.calibrated:
            return None
        return self.interval * (1 - self.outside) + self.outside


def confidence(placement: Placement, seconds: float) -> Confidence | None:
    """Of the plan, predicted to take `seconds`; None where no device that it uses is calibrated."""
    target, price = placement.question.target, placement.solution.price
    used = [target.devices[d] for d in sorted(set(placement.solution.assignment))]
    measured = [device for device in used if device.calibration is not None]
    if not measured:
        return None
    busy: Counter[str] = Counter()
    found: dict[tuple[str, str], list[float]] = {}
    for device, reason, spent, covered in _parts(placement):
        busy[device.name] += spent  # type: ignore[assignment]
        if not covered:
            found.setdefault((device.name, reason), []).append(spent)
    if price.handoff > 0:
        found["", "handoffs are not measured"] = [price.handoff]
    rows = (Uncovered(device, reason, sum(spent), len(spent)) for (device, reason), spent in found.items())
    return Confidence(
        seconds,
        _interval(measured, busy),
        tuple(sorted(rows, key=lambda row: (-row.seconds, row.device, row.reason))),
        tuple((device.name, device.calibration.note) for device in measured if device.calibration is not None),
    )


def _parts(placement: Placement) -> Iterator[tuple[Device, str, float, bool]]:
    """Device, why it is outside, seconds and whether they are inside what was measured: of every kernel outside, and of the rest of every
    unit and every dispatch."""
    question, devices = placement.question, placement.question.target.devices
    for unit, members, d in zip(question.problem.units, question.units, placement.solution.assignment, strict=True):
        device, spent = devices[d], unit.seconds[d] or 0.0
        if device.calibration is None:
            yield device, "it is not calibrated", spent, False
            continue
        timed = unit_time(question, members, d)
        for one in timed.outside if timed is not None else ():
            yield device, one.reason, one.seconds, False
        yield device, "", max(0.0, spent - sum(one.seconds for one in timed.outside)) if timed is not None else spent, True
    for piece in placement.solution.price.pieces:
        device = devices[piece.device]
        yield device, "it is not calibrated", question.problem.dispatch[piece.device], device.calibration is not None


def _interval(measured: list[Device], busy: Counter[str]) -> float | None:
    """Of several devices, weighted by their seconds: errors of one calibration may all have one sign."""
    widths = [(device.calibration.holdout.interval if device.calibration and device.calibration.holdout else None) for device in measured]
    known = [width for width in widths if width is not None]
    total = sum(busy[device.name] for device in measured)
    if len(known) < len(widths):
        return None
    return sum(w * busy[d.name] for w, d in zip(known, measured, strict=True)) / total if total else max(known)
