"""How far measurements support the latency that a manifest predicts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .record import Count, Record, Seconds, Share


class CalibrationRecord(Record, frozen=True, kw_only=True):
    """What was measured of a device that the plan uses."""

    device: str
    note: str


class UncoveredRecord(Record, frozen=True, kw_only=True):
    """Predicted seconds that no measurement supports."""

    device: str
    """"" for handoffs."""
    reason: str
    seconds: Seconds
    operators: Count
    example: str
    """The operator with the most of these seconds; "" for handoffs."""
    detail: str
    """How large that one is, beside what was measured; "" where its size is not the reason."""


class UncostedRecord(Record, frozen=True, kw_only=True):
    """An operator of the model as it was placed that has no cost: the predicted latency is a lower bound."""

    node: str
    operator: str
    tensor: str
    """The first operand or result with an extent that is not known."""
    because: str
    """Where that extent comes from."""
    shape: str
    """What `--shape` would give it a size; "" where only values decide."""


class ConfidenceRecord(Record, frozen=True, kw_only=True):
    """Of the predicted latency; there is one where a device in use is calibrated."""

    latency: Seconds
    half_width: Annotated[float, Meta(ge=0)] | None
    """Share of the latency by which it may be off, nine times in ten; null where the target is not calibrated for the model, or its
    calibration states no interval."""
    outside: Share
    """Of the latency, what is outside what was measured."""
    calibrated: bool
    """Whether little enough is outside."""
    calibrations: tuple[CalibrationRecord, ...]
    uncovered: tuple[UncoveredRecord, ...]
    """The most seconds first."""
