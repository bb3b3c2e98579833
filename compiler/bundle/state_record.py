"""The record of a tensor that stays in the arena from run to run."""

from __future__ import annotations

from .record import Count, Positive, Record

CACHE_LENGTH = "cache_length"
"""The input of a bundle with states that says how many rows of the caches are filled (passes/state/fixed_length.py adds it)."""


class StateRecord(Record, frozen=True, kw_only=True):
    """A cache that every run reads as one input and leaves, with its new rows, as one output; or a state that it replaces."""

    past: str
    """The input."""
    present: str
    """The output: all of it, or new rows alone, which whoever runs the entry puts behind those that are filled."""
    axis: Count
    """Along which rows are added; 0 where none are."""
    length: Count
    """Rows that it holds at most; 0 for a state that every run replaces as a whole."""
    bytes: Positive
    """That it takes in the arena."""
    copied: Count
    """Bytes that a run copies besides the new rows: 0 where input and output are one place in the arena."""
