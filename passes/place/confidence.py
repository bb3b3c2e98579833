"""How far measurements support the latency predicted of a plan: its interval, and what share of it no measurement covers.

The interval is that of the calibration's hold-out (90 % of whole models lie in it). Seconds outside what was measured may be wrong by all
of themselves, so that

    half width = interval · (1 - outside) + outside
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...targets.calibrated_cost import Beyond
from ...targets.model import Device
from .placed import Placement
from .unit_time import unit_time

MOST_OUTSIDE = 0.1
"""Share of predicted seconds outside what was measured from which on a target counts as not calibrated for the model."""
NOT_CALIBRATED = Beyond("the device is not calibrated")


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Predicted seconds that no measurement supports."""

    device: str
    """"" for handoffs."""
    reason: str
    seconds: float
    operators: int
    example: str = ""
    """The operator with the most of these seconds; "" for handoffs."""
    detail: str = ""
    """How large that one is, beside what was measured; "" where its size is not the reason."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Predicted seconds of one kernel, unit or dispatch."""

    device: Device
    seconds: float
    why: Beyond | None
    """None inside what was measured."""
    node: int | None = None
    """The first operator, by number; None of a dispatch."""


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
    found: dict[tuple[str, str], list[_Part]] = {}
    for part in _parts(placement):
        busy[part.device.name] += part.seconds  # type: ignore[assignment]
        if part.why is not None:
            found.setdefault((part.device.name, part.why.reason), []).append(part)
    rows = [_uncovered(placement, parts) for parts in found.values()]
    if price.handoff > 0:
        rows.append(Uncovered("", "handoffs are not measured", price.handoff, 1))
    return Confidence(
        seconds,
        _interval(measured, busy),
        tuple(sorted(rows, key=lambda row: (-row.seconds, row.device, row.reason))),
        tuple((device.name, device.calibration.note) for device in measured if device.calibration is not None),
    )


def _uncovered(placement: Placement, parts: Sequence[_Part]) -> Uncovered:
    """Of parts with one device and one reason."""
    most = max((part for part in parts if part.node is not None), key=lambda part: part.seconds, default=parts[0])
    node = None if most.node is None else placement.question.nodes[most.node]
    assert most.why is not None
    return Uncovered(
        most.device.name,
        most.why.reason,
        sum(part.seconds for part in parts),
        len(parts),
        "" if node is None else node.name or node.writes[0],
        most.why.detail,
    )


def _parts(placement: Placement) -> Iterator[_Part]:
    """Every kernel outside what was measured, the rest of every unit, and every dispatch."""
    question, devices = placement.question, placement.question.target.devices
    for unit, members, d in zip(question.problem.units, question.units, placement.solution.assignment, strict=True):
        device, spent = devices[d], unit.seconds[d] or 0.0
        if device.calibration is None:
            yield _Part(device, spent, NOT_CALIBRATED, members[0])
            continue
        timed = unit_time(question, members, d)
        beyond = timed.outside if timed is not None else ()
        yield from (_Part(device, one.seconds, one.why, one.node) for one in beyond)
        yield _Part(device, max(0.0, spent - sum(one.seconds for one in beyond)), None)
    for piece in placement.solution.price.pieces:
        device = devices[piece.device]
        yield _Part(device, question.problem.dispatch[piece.device], None if device.calibration is not None else NOT_CALIBRATED)


def _interval(measured: list[Device], busy: Counter[str]) -> float | None:
    """Of several devices, weighted by their seconds: errors of one calibration may all have one sign."""
    widths = [(device.calibration.holdout.interval if device.calibration and device.calibration.holdout else None) for device in measured]
    known = [width for width in widths if width is not None]
    total = sum(busy[device.name] for device in measured)
    if len(known) < len(widths):
        return None
    return sum(w * busy[d.name] for w, d in zip(known, measured, strict=True)) / total if total else max(known)
