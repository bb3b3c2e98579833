"""Memories with their budgets, and the operators with the most weights: rows of the page's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .limit_bars import limit_bars

HEAVIEST = 20
"""Operators that are listed."""
SEGMENT, KIND, NAME, WEIGHTS = 0, 2, 4, 7
"""Of an operator's row in page data."""
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One memory of the target; bytes."""

    name: str
    bytes: float
    """The most in a run."""
    loading: int | None
    """The most while the bundle is loaded; None where only the bundle is known, as `terms`."""
    terms: Data | None
    budget: float | None
    """None where the target states none."""
    origin: str
    used: float | None
    """Percent of the budget."""
    state: str


@dataclass(frozen=True, slots=True)
class Heaviest:
    rows: Sequence[Data]
    """{"name", "kind", "segment", "device", "bytes"}, the heaviest first."""
    count: int
    """Operators that read constants."""
    left_out: int


def memory_rows(data: Data) -> list[MemoryRow]:
    """Of page data: those that the compilation knew, or those with a budget in the manifest."""
    bars = {bar.record["subject"]: bar for bar in limit_bars(data["manifest"]["limits"]) if bar.record["kind"] == "budget"}
    if data["plan"] is None:
        return [
            MemoryRow(name, bar.record["value"], None, None, bar.record["limit"], bar.record["origin"], bar.used, bar.state)
            for name, bar in bars.items()
            if bar.record["value"] is not None
        ]
    return list(_rows(data["plan"]["memory"]["memories"], bars))


def _rows(memories: Sequence[Data], bars: Data) -> Iterator[MemoryRow]:
    for one in memories:
        loading = max(0, one["runtime"] + one["weights"] + one["loading"] + one["arena"])
        bar = bars.get(one["name"])
        origin, used, state = ("", None, "") if bar is None else (bar.record["origin"], bar.used, bar.state)
        yield MemoryRow(one["name"], one["bytes"], loading, one, one["budget"], origin, used, state)


def heaviest(data: Data) -> Heaviest:
    """Of page data."""
    found = sorted((one for one in data["operators"] if one[WEIGHTS]), key=lambda one: -one[WEIGHTS])
    segments = data["manifest"]["segments"]
    rows = [
        {"name": one[NAME], "kind": one[KIND], "segment": one[SEGMENT], "device": segments[one[SEGMENT]]["device"], "bytes": one[WEIGHTS]}
        for one in found[:HEAVIEST]
    ]
    return Heaviest(rows, len(found), max(len(found) - HEAVIEST, 0))
