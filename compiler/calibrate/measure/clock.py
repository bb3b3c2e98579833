"""Time of runs by the clock of the calling thread, which stands still while a neighbour has the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_RUNS, MOST_RUNS = 15, 3000
FEWEST, LONGEST = 3, 10.0
"""Seconds that runs of a slow model may take instead, and how many it is run at least: ninety runs of a minute would be no answer."""
SHORT = 100e-6
"""Runs are timed together until they last this long: the clock itself takes 0.3 us."""
LOW = 0.1
"""The tenth of the runs that is fastest lies below: what else the machine does makes runs slower, never faster."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Runs in one go."""

    seconds: float
    """Of one run: the tenth percentile."""
    runs: int


def time_runs(run: Callable[[], object], budget: float, clock: Callable[[], int] = time.thread_time_ns) -> Chunk:
    """Runs for about `budget` seconds, after one that counts for nothing. `clock`: nanoseconds of processor time."""
    run()
    first = _timed(run, 1, clock)
    together = max(1, min(1000, int(SHORT / first))) if first > 0 else 1000
    wanted = min(MOST_RUNS, max(least_runs(LEAST_RUNS, first), int(budget / max(first * together, 1e-9))))
    times = sorted(_timed(run, together, clock) for _ in range(wanted))
    return Chunk(times[int(LOW * len(times))], wanted * together)


def least_runs(least: int, seconds: float) -> int:
    """`least`, or as many as LONGEST allows of a model that takes so long."""
    return max(FEWEST, min(least, int(LONGEST / max(seconds, 1e-9))))


def _timed(run: Callable[[], object], together: int, clock: Callable[[], int]) -> float:
    begun = clock()
    for _ in range(together):
        run()
    return (clock() - begun) / together * 1e-9
