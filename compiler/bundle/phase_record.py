"""The record of models that are not in memory at the same time, because the target's memory does not hold all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from .record import Count, EntryName, Record

Bytes = Annotated[Mapping[str, Count], Meta(max_length=100)]
"""By memory of the target, predicted."""


class PhaseRecord(Record, frozen=True, kw_only=True):
    """A time in which one of those models is open, beside all models that are in no phase."""

    model: EntryName
    running: Bytes
    """The most while the entries that are open then run, one after the other."""
    loading: Bytes
    """The most while they are loaded."""


class PhasesRecord(Record, frozen=True, kw_only=True):
    """How the models take turns."""

    at_once: Bytes
    """What all models would take together."""
    each: Annotated[tuple[PhaseRecord, ...], Meta(min_length=2, max_length=100)]
    """In the order of a prompt; the last one is that of the first entry's model."""
