"""Makes the rows of a sweep, and looks for the points between them at which the plan changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..quantities import count, duration
from .ask import Ask, at_point
from .breaks import End, Gap, break_json, gaps
from .row import Key, Row
from .spread import Axis
from .task import Task, make_row

Make = Callable[[Sequence[Task]], Iterator[tuple[int, Row]]]
"""Makes rows somewhere: (number of the task, its row) in the order in which they are done."""
PATIENCE = 1.0
"""Seconds between two messages of progress."""


def make_here(tasks: Sequence[Task]) -> Iterator[tuple[int, Row]]:
    """In this process, one after the other."""
    for number, task in enumerate(tasks):
        yield number, make_row(task)


@dataclass(slots=True)
class Maker:
    """Makes rows that are not known yet, and keeps them."""

    make: Make
    known: Mapping[Key, Row] = field(default_factory=dict)
    """Of an earlier run."""
    keep: Callable[[Row], None] = lambda row: None
    tell: Callable[[str], None] = lambda message: None
    new: int = 0
    """Rows that were made."""

    def rows(self, tasks: Sequence[Task], what: str) -> list[Row]:
        """One for each task, in order, whoever makes them."""
        found = {k: row for k, task in enumerate(tasks) if (row := self._there(task)) is not None}
        missing = [k for k in range(len(tasks)) if k not in found]
        clock = Clock(self.tell, len(missing), what)
        for number, row in self.make([tasks[k] for k in missing]):
            found[missing[number]] = row
            self.new += 1
            self.keep(row)
            clock.one_more()
        return [found[k] for k in range(len(tasks))]

    def _there(self, task: Task) -> Row | None:
        """What an earlier run found, or why nothing can be found; an error of an earlier run is tried again."""
        known = self.known.get(task.row.key)
        if known is not None and not known.error:
            return known
        if task.row.error:
            self.keep(task.row)
            return task.row
        return None


class Clock:
    """Tells how many rows there are, and how long the others will take."""

    def __init__(self, tell: Callable[[str], None], total: int, what: str) -> None:
        self._tell, self._total, self._what, self._done = tell, total, what, 0
        self._start = self._told = time.monotonic()
        if total:
            tell(f"{what}: {count(total, 'plan')}")

    def one_more(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told < PATIENCE or self._done == self._total:
            return
        self._told = now
        left = (now - self._start) / self._done * (self._total - self._done)
        self._tell(f"{self._what}: {self._done} of {self._total} plans, about {duration(left)} left")


@dataclass(frozen=True, slots=True)
class Swept:
    """The rows of `ask.tasks()` in order, and where plans change between them."""

    ask: Ask
    rows: tuple[Row, ...]
    breaks: tuple[Gap, ...]
    new: int
    """Rows that were made, and not known from an earlier run; those between points included."""

    def as_json(self) -> dict[str, Any]:
        """settings, axes, rows, breaks, new."""
        return {
            "settings": [{"path": path, "text": text, "value": value} for path, text, value in self.ask.settings],
            "axes": [_axis(axis) for axis in self.ask.axes],
            "rows": [row.as_json() for row in self.rows],
            "breaks": [break_json(gap, self.ask.axes[0]) for gap in self.breaks],
            "new": self.new,
        }


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "path": axis.path,
        "dimension": axis.dimension,
        "texts": list(axis.texts),
        "values": list(axis.values),
        "geometric": axis.geometric,
    }


def sweep(ask: Ask, maker: Maker) -> Swept:
    """Every point of every pair; then between neighbours that differ, until the change is known to 1 %. A pair that fails has rows with its
    error, and the others go on."""
    rows = maker.rows(ask.tasks(), "sweep")
    open_, closed = gaps(ask, rows), list[Gap]()
    while open_:
        axis = ask.axes[0]
        middles = [(gap, middle) for gap in open_ if (middle := gap.middle(axis)) is not None]
        closed += [gap for gap in open_ if gap.middle(axis) is None]
        made = maker.rows([at_point(gap.pair, gap.point(axis, middle)) for gap, middle in middles], "look for changes")
        open_ = []
        for (gap, (value, text)), row in zip(middles, made, strict=True):
            if row.error:
                closed.append(gap)
            else:
                open_ += gap.halves(End(value, text, row))
    return Swept(ask, tuple(rows), tuple(sorted(closed, key=lambda gap: _place(ask, gap))), maker.new)


def _place(ask: Ask, gap: Gap) -> tuple[Any, ...]:
    return ask.pairs.index(gap.pair), tuple(value for _, _, value in gap.others), gap.low.value
