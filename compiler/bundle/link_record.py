"""The record of a tensor that one model of a bundle writes and another one reads, in the arena that they share."""

from __future__ import annotations

from .record import Count, EntryName, Positive, Record


class LinkRecord(Record, frozen=True, kw_only=True):
    """An output that is an input of the first entry's model, in every entry of both."""

    model: EntryName
    """Whose output it is."""
    output: str
    input: str
    axis: Count
    """Of the input, along which its rows are; the dims before it are 1."""
    label: str
    """What the rows are called whose first one every step states; "" where they begin at the first row of the input."""
    offset: Count
    """Of the input's first row, in the arena of every entry."""
    bytes: Positive
    """That are kept for the input from there on, in every entry of every model."""
    copied: Count
    """Bytes that a step copies from the output to the input; 0 where the output is written there."""
    reason: str
    """Why it is copied; "" where it is not."""
