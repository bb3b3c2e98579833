"""The record of weights that stay in the bundle's file while it runs: what sessions hold of their own, and what they read there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from .record import Count, Positive, Record, Seconds, SegmentPath


class HeldRecord(Record, frozen=True, kw_only=True):
    """Weights of one segment, in bytes as its runtime holds them."""

    private: Count
    """Copies that its session has of its own."""
    mapped: Count
    """Read where the file is mapped; segments that read the same bytes share them."""
    whole: Count
    """What would be private without packed forms in the file, as on a machine whose kernels want another form."""
    packing: Count
    """The largest of the mapped forms: a session packs each weight for itself and drops its copy, which is private for that moment."""
    unmapped: Annotated[tuple[str, ...], Meta(max_length=100_000)]
    """Names of weights with a packed form that is private: the budget had room for it."""


class ResidentRecord(Record, frozen=True, kw_only=True):
    """What --resident asked for, and how it is kept."""

    budget: Positive
    """Bytes of weights that sessions of the bundle may hold of their own, all together that are open at the same time, while they are
    loaded and when all of them are."""
    least: Count
    """The smallest budget that could be kept."""
    packed: Count
    """Bytes that packed forms of weights take in the file of weights."""
    runtime: Annotated[str, Meta(max_length=200)]
    """What packed them: "onnxruntime 1.32.0"."""
    processor: Annotated[str, Meta(max_length=400)]
    """For which kernels: the architecture, and those of its instruction sets that choose a form."""
    reading: Seconds | None
    """Predicted, for reading all that is mapped from storage again, where the system took every page back; null where the target has no
    memory that only holds weights."""
    segments: Annotated[Mapping[SegmentPath, HeldRecord], Meta(max_length=10_000)]
    """By the segment's file."""
