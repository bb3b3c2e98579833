"""How long a measurement will still take: what its budgets plan for each stage, corrected by how long they took so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ...quantities import duration

Clock = Callable[[], float]


@dataclass(slots=True)
class _Stage:
    planned: float
    done: float = 0.0
    took: float = 0.0

    @property
    def factor(self) -> float | None:
        """How many times longer than planned it takes; None before anything is done."""
        return self.took / self.done if self.done else None


@dataclass(slots=True)
class TimeLeft:
    """One measurement, from its first stage on. Seconds that are planned need to be right only within a stage, beside each other."""

    clock: Clock = time.monotonic
    _stages: dict[str, _Stage] = field(default_factory=dict)
    _last: float | None = None

    def plan(self, stage: str, seconds: float) -> None:
        """Work to be done, added to what the stage has."""
        self._stages.setdefault(stage, _Stage(0.0)).planned += seconds

    def begin(self) -> None:
        """What comes next is counted from here."""
        self._last = self.clock()

    def done(self, stage: str, seconds: float) -> None:
        """Work of so many planned seconds is done; it took the time since `begin`, or since the work before."""
        now = self.clock()
        mine = self._stages.setdefault(stage, _Stage(seconds))
        mine.took += now - (now if self._last is None else self._last)
        mine.done += seconds
        mine.planned = max(mine.planned, mine.done)
        self._last = now

    @property
    def seconds(self) -> float | None:
        """Of a stage that has not begun, as if it were off by as much as all others; None before anything is done."""
        stages = self._stages.values()
        done = sum(one.done for one in stages)
        if not done:
            return None
        usual = sum(one.took for one in stages) / done
        return sum((one.planned - one.done) * (usual if one.factor is None else one.factor) for one in stages)

    def __str__(self) -> str:
        """ ", about 12 min left"; "" where nothing is known yet."""
        left = self.seconds
        return "" if left is None else f", about {duration(left)} left"
