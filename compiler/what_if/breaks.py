"""Where along a sweep the plan changes, or a limit begins to be broken: between two neighbours that differ, by halving, to one per cent."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .ask import Ask, Point
from .row import Row
from .spread import Axis
from .task import Task

NEAR = 0.01
"""Of the larger value: how far apart the ends of a break are at most, where there is a value between them."""


@dataclass(frozen=True, slots=True)
class End:
    """A value of the first axis, and the row there."""

    value: float
    text: str
    row: Row


@dataclass(frozen=True, slots=True)
class Gap:
    """Two neighbours with different plans, for one pair and one value of the other axis."""

    pair: Task
    others: Point
    """All settings but the first axis's."""
    low: End
    high: End

    def middle(self, axis: Axis) -> tuple[float, str] | None:
        """Where to look next; None where the ends are near enough, or nothing lies between them."""
        if self.high.value - self.low.value <= NEAR * self.high.value:
            return None
        return axis.middle(self.low.value, self.high.value)

    def point(self, axis: Axis, middle: tuple[float, str]) -> Point:
        return (*self.others, (axis.path, middle[1], middle[0]))

    def halves(self, end: End) -> Iterator[Gap]:
        """What is left to look into once the row between is known: itself, where that is an error."""
        for low, high in ((self.low, end), (end, self.high)):
            if low.row.identity != high.row.identity:
                yield Gap(self.pair, self.others, low, high)


def gaps(ask: Ask, rows: Sequence[Row]) -> list[Gap]:
    """Between neighbours of the sweep. rows: of `ask.tasks()`, in order."""
    if not ask.axes:
        return []
    axis, found = ask.axes[0], []
    points, width = list(ask.points()), len(ask.axes[0].texts)
    for number, pair in enumerate(ask.pairs):
        mine = rows[number * len(points) : (number + 1) * len(points)]
        for begin in range(0, len(points), width):
            others = tuple(one for one in points[begin] if one[0] != axis.path)
            ends = [End(axis.values[k], axis.texts[k], mine[begin + k]) for k in range(width)]
            found += [Gap(pair, others, low, high) for low, high in itertools.pairwise(ends) if _differ(low.row, high.row)]
    return found


def _differ(low: Row, high: Row) -> bool:
    return bool(low.identity and high.identity) and low.identity != high.identity


def break_json(gap: Gap, axis: Axis) -> dict[str, Any]:
    """model, target, settings, path, below and above (each text, value, latency, segments, broken limits), what."""
    return {
        "model": gap.pair.row.model,
        "target": gap.pair.row.target,
        "settings": {path: value for path, _, value in gap.others},
        "path": axis.path,
        "below": _end(gap.low),
        "above": _end(gap.high),
        "what": _what(gap.low.row, gap.high.row),
    }


def _end(end: End) -> Mapping[str, Any]:
    row = end.row
    return {
        "text": end.text, "value": end.value, "plan": row.plan or None, "latency": row.latency,
        "half_width": row.half_width, "segments": dict(row.segments),
        "operators": dict(row.operators), "broken": list(row.broken),
    }  # fmt: skip


def _what(low: Row, high: Row) -> str:
    """ "plan", "limits" or "plan and limits"."""
    words = [*(["plan"] if low.plan != high.plan else []), *(["limits"] if low.broken != high.broken else [])]
    return " and ".join(words) or "plan"
