"""What a bundle's model lost by pruning, and what that brought."""

from __future__ import annotations

from typing import Literal

from .precision_record import AccuracyRecord
from .record import Count, Positive, Record, Seconds, Sha256


class PrunedLayerRecord(Record, frozen=True, kw_only=True):
    """Layers whose channels or heads were removed together."""

    layers: tuple[str, ...]
    kind: Literal["channels", "heads"]
    """heads: several channels that are one set."""
    before: Positive
    after: Positive
    """How many there are."""


class PruningRecord(Record, frozen=True, kw_only=True):
    """Against the model as it was given."""

    source_sha256: Sha256
    structured: tuple[PrunedLayerRecord, ...]
    """Removed from the graph."""
    weight_bytes: tuple[Count, Count]
    """Before and after, in the model's own precision."""
    seconds: tuple[Seconds, Seconds] | None
    """Predicted latency before and after, in the model's own precision; null where no plan keeps the target's limits."""
    samples: Count
    """Of calibration data, by which channels that stay stand in for those that went, and by which rates were chosen; 0 without any."""
    accuracy: tuple[AccuracyRecord, ...]
    """Of the bundle against the model as it was given; () where it was not measured."""
