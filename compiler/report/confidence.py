"""What screens say of a predicted latency: how far it may be off, and what of it no measurement covers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..quantities import count, time
from .printable import printable

MOST_REASONS = 3
"""Reasons that are named; the rest is counted."""
Facts = Mapping[str, Any]


def interval(facts: Facts | None) -> str:
    """` ±18 %` behind a latency, "" where none is known. facts: a ConfidenceRecord as plain data."""
    return f" ±{facts['half_width'] * 100:.2g} %" if facts is not None and facts["half_width"] is not None else ""


def confidence_lines(facts: Facts | None) -> Iterator[str]:
    """Below the latency; nothing where no device in use is calibrated."""
    if facts is None:
        return
    notes = "; ".join(f"{one['device']}: {printable(one['note'])}" for one in facts["calibrations"])
    if not facts["calibrated"]:
        yield f"not calibrated for this model: {_share(facts['outside'])} of it is outside what was measured ({notes})"
    elif facts["half_width"] is None:
        yield f"calibrated ({notes}), without an interval; {_share(facts['outside'])} of it outside what was measured"
    else:
        yield f"90 % of models are within the interval (calibrated, {notes}); {_share(facts['outside'])} of it outside what was measured"
    if facts["uncovered"]:
        yield f"outside: {'; '.join(_reasons(facts['uncovered']))}"


def _reasons(rows: Sequence[Facts]) -> Iterator[str]:
    for one in rows[:MOST_REASONS]:
        where = f" on {one['device']}" if one["device"] else ""
        yield f"{printable(one['reason'])}{where}, {time(one['seconds'])} in {count(one['operators'], 'place')}"
    if len(rows) > MOST_REASONS:
        yield f"and {count(len(rows) - MOST_REASONS, 'more reason')}"


def _share(value: float) -> str:
    """Whole percent, rounded up: 0 % is none."""
    return f"{-int(-value * 100 // 1)} %"
