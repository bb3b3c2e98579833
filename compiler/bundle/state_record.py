"""Records of what stays in the arena from run to run, and of how a step may be written that adds to it."""

from __future__ import annotations

from typing import Literal

from .record import Count, Positive, Record, Seconds, Share

CACHE_LENGTH = "cache_length"
"""The input of a bundle with states that says how many rows of the caches are filled (passes/state/fixed_length.py adds it)."""


class StateRecord(Record, frozen=True, kw_only=True):
    """A cache that every run reads as one input and leaves, with its new rows, as one output; or a state that it replaces. A decoder may
    have both."""

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
    reason: str
    """Why it is copied; "" where it is not."""
    dtype: str
    """Of its values in the arena."""
    bound: Share
    """The largest relative error of a value in it: that of rounding to `dtype`, where the model has another one; else 0."""


class WayRecord(Record, frozen=True, kw_only=True):
    """A way to write a step of a decoder: attention that extends its caches, or whose new rows go out and are appended by the session;
    placed: the same for any reader, the rows being put at their places first."""

    name: Literal["extended", "appended", "placed"]
    taken: bool
    seconds: Seconds | None
    """Predicted, of one run; null where there is no plan."""
    cost: float | None
    """What the ways were compared by: seconds too, or what another objective counts."""
    reason: str
    """Why it was not compiled, or could not be; "" where it was."""
