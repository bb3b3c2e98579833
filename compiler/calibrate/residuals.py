"""What a fit left unexplained: by network, by line, and the operators far off their line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .fit import Fitted
from .fit_holdout import HeldOut

CLIFF = 5.0
LEAST_CLIFF = 20e-6
"""Seconds from which an operator that is far off its line is reported: of shorter ones, launch and the profiler are most of the time."""
MOST_CLIFFS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One measured kernel."""

    case: str
    name: str
    operator: str
    shapes: tuple[tuple[int | None, ...] | None, ...]
    measured: float
    predicted: float

    @property
    def off(self) -> float:
        """Seconds between the two."""
        return abs(self.measured - self.predicted)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfNetwork:
    """One model, predicted by fits that had not seen its network."""

    case: str
    measured: float
    predicted: float
    """Mean over the splits that left it out."""
    outside: float
    floor: float
    refused: bool
    at_fault: Operator | None
    """The operator whose seconds are furthest off, by the fit to everything."""

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1.0


def by_network(fitted: Fitted) -> tuple[OfNetwork, ...]:
    """The worst first."""
    found: dict[int, list[HeldOut]] = {}
    for one in fitted.held:
        found.setdefault(one.segment, []).append(one)
    worst: dict[int, Operator] = {}
    for segment, kernel in operators(fitted):
        if segment not in worst or kernel.off > worst[segment].off:
            worst[segment] = kernel
    rows = (_of_network(fitted, segment, held, worst.get(segment)) for segment, held in found.items())
    return tuple(sorted(rows, key=lambda row: (-abs(row.error), row.case)))


def _of_network(fitted: Fitted, segment: int, held: list[HeldOut], worst: Operator | None) -> OfNetwork:
    measured = fitted.samples.segments[segment]
    outside = sum(one.outside for one in held) / len(held)
    return OfNetwork(
        case=measured.case,
        measured=held[0].measured,
        predicted=sum(one.predicted for one in held) / len(held),
        outside=outside,
        floor=measured.floor,
        refused=sum(one.refused for one in held) * 2 > len(held),
        at_fault=worst,
    )


def operators(fitted: Fitted) -> Iterator[tuple[int, Operator]]:
    """Every kernel that was timed, with its segment."""
    samples, number = fitted.samples, 0
    for index, segment in enumerate(samples.segments):
        for kernel in segment.kernels:
            seconds = float(samples.kernel_seconds[number])
            if seconds == seconds:
                view = kernel.views[0]
                yield index, Operator(
                    case=segment.case, name=kernel.name, operator=view.operator,
                    shapes=tuple(tensor.shape for tensor in view.inputs.values())[:2], measured=seconds,
                    predicted=float(fitted.predicted.kernels[number]),
                )  # fmt: skip
            number += 1


def cliffs(fitted: Fitted) -> tuple[Operator, ...]:
    """Operators of networks more than five times off their line, each operator once, the most seconds lost first: hints for a rewrite,
    or faults of a runtime."""
    worst: dict[str, Operator] = {}
    for index, one in operators(fitted):
        if fitted.samples.segments[index].single or one.measured < LEAST_CLIFF or one.measured < CLIFF * one.predicted:
            continue
        if one.operator not in worst or one.measured - one.predicted > worst[one.operator].measured - worst[one.operator].predicted:
            worst[one.operator] = one
    return tuple(sorted(worst.values(), key=lambda one: one.predicted - one.measured))[:MOST_CLIFFS]


def without_line(fitted: Fitted) -> tuple[str, ...]:
    """Operators that were met and that no line prices."""
    named = {name for rate in fitted.calibration.rates for name in rate.operators}
    met = {
        (f"{view.domain}::" if view.domain else "") + view.operator
        for view, free in zip(fitted.samples.forms, fitted.samples.free, strict=True)
        if not free
    }
    return tuple(sorted(met - named))
