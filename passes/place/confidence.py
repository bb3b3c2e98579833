"""How far measurements support the latency predicted of a plan: its interval, and what share of it no measurement covers.

The interval is that of the calibration's hold-out (90 % of whole models lie in it). Seconds outside what was measured may be wrong by all
of themselves, so that

    half width = interval · (1 - outside) + outside
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...targets.calibrated_cost import Beyond
from ...targets.model import Device, Target
from ..graph.node import Node
from .device_kernels import PricedKernel

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


class Run(Protocol):
    """A segment as its device runs it."""

    @property
    def device(self) -> str: ...
    @property
    def kernels(self) -> Sequence[PricedKernel]: ...
    @property
    def dispatch(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Part:
    """Predicted seconds of one kernel or dispatch."""

    device: str
    seconds: float
    why: Beyond | None
    """None inside what was measured."""
    node: Node | None = None
    """The first operator; None of a dispatch."""


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


def confidence(target: Target, runs: Sequence[Run], handoff: float, seconds: float) -> Confidence | None:
    """Of a plan of these segments, predicted to take `seconds`, of which tensors are handed over for `handoff`; None where no device that
    it uses is calibrated."""
    devices = {run.device: target.device(run.device) for run in runs}
    measured = [devices[name] for name in sorted(devices) if devices[name].calibration is not None]
    if not measured:
        return None
    busy: Counter[str] = Counter()
    found: dict[tuple[str, str], list[_Part]] = {}
    for part in (part for run in runs for part in _parts(devices[run.device], run)):
        busy[part.device] += part.seconds  # type: ignore[assignment]
        if part.why is not None and part.seconds:
            found.setdefault((part.device, part.why.reason), []).append(part)
    rows = [_uncovered(parts) for parts in found.values()]
    if handoff > 0:
        rows.append(Uncovered("", "handoffs are not measured", handoff, 1))
    return Confidence(
        seconds,
        _interval(measured, busy),
        tuple(sorted(rows, key=lambda row: (-row.seconds, row.device, row.reason))),
        tuple((device.name, device.calibration.note) for device in measured if device.calibration is not None),
    )


def _uncovered(parts: Sequence[_Part]) -> Uncovered:
    """Of parts with one device and one reason."""
    most = max(parts, key=lambda part: (part.node is not None, part.seconds))
    assert most.why is not None
    example = "" if most.node is None else most.node.name or most.node.writes[0]
    return Uncovered(most.device, most.why.reason, sum(part.seconds for part in parts), len(parts), example, most.why.detail)


def _parts(device: Device, run: Run) -> Iterator[_Part]:
    """Every kernel, and the dispatch."""
    nobody = None if device.calibration is not None else NOT_CALIBRATED
    for one in run.kernels:
        yield _Part(device.name, one.seconds, nobody or one.outside, one.kernel.nodes[0])
    yield _Part(device.name, run.dispatch, nobody)


def _interval(measured: list[Device], busy: Counter[str]) -> float | None:
    """Of several devices, weighted by their seconds: errors of one calibration may all have one sign."""
    widths = [(device.calibration.holdout.interval if device.calibration and device.calibration.holdout else None) for device in measured]
    known = [width for width in widths if width is not None]
    total = sum(busy[device.name] for device in measured)
    if len(known) < len(widths):
        return None
    return sum(w * busy[d.name] for w, d in zip(known, measured, strict=True)) / total if total else max(known)
