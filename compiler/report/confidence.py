"""What screens say of a predicted latency: how far it may be off, and what of it no measurement covers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import clipped
from ..quantities import count, percent, reach
from .printable import printable

MOST_REASONS = 3
"""Reasons that are named; the rest is counted."""
Facts = Mapping[str, Any]


def interval(facts: Facts | None) -> str:
    """` ±18 %` behind a latency, "" where none is known. facts: a ConfidenceRecord as plain data."""
    return f" {reach(facts['half_width'])}" if facts is not None and facts["half_width"] is not None else ""


def confidence_lines(facts: Facts | None) -> Iterator[str]:
    """Below the latency; nothing where no device in use is calibrated."""
    if facts is None:
        return
    notes = "; ".join(f"{one['device']}: {printable(one['note'])}" for one in facts["calibrations"])
    beyond = f"{percent(facts['outside'])} of the latency is outside what was measured"
    if not facts["calibrated"]:
        yield f"not calibrated for this model: {beyond} ({notes})"
    elif facts["half_width"] is None:
        yield f"calibrated ({notes}), without an interval; {beyond}"
    else:
        yield f"90 % of models are within the interval (calibrated, {notes}); {beyond}"
    yield from _reasons(facts["uncovered"], facts["latency"])


def _reasons(rows: Sequence[Facts], latency: float) -> Iterator[str]:
    """A line each: the share of the time, the reason, and the operator that has most of it."""
    for one in rows[:MOST_REASONS]:
        where = f" on {one['device']}" if one["device"] else ""
        yield f"outside: {percent(one['seconds'] / latency)}{where}: {printable(one['reason'])}{_example(one)}"
    rest = rows[MOST_REASONS:]
    if rest:
        yield f"outside: {percent(sum(one['seconds'] for one in rest) / latency)}: {count(len(rest), 'more reason')}"


def _example(one: Facts) -> str:
    """ " (12 places, most in 'conv1': 2.1 GOP, measured 10 MOP..1.42 GOP)"."""
    if not one["example"]:
        return ""
    places = f"{count(one['operators'], 'place')}, most in " if one["operators"] > 1 else ""
    detail = f": {one['detail']}" if one["detail"] else ""
    return f" ({places}'{printable(clipped(one['example']))}'{detail})"
