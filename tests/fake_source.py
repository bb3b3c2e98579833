"""A source of measurements without a clock: what a runtime would report, as a test writes it down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from autoglmc.compiler.calibrate.measure.clock import Chunk
from autoglmc.compiler.calibrate.measure.join import Reported
from autoglmc.compiler.calibrate.measure.source import Profile, Runnable


class FakeSource:
    """Latencies in turn; the same profile every time."""

    runtime = "fake 1.0"

    def __init__(self, latencies: Sequence[float], reported: Callable[[Runnable], Sequence[Reported]]) -> None:
        self._latencies: Iterator[float] = cycle(latencies)
        self._reported = reported
        self.timed = 0

    def latency(self, model: Runnable, budget: float) -> Chunk:
        self.timed += 1
        return Chunk(next(self._latencies), 100)

    def profile(self, model: Runnable, latency: float, budget: float) -> Profile:
        return Profile(tuple(self._reported(model)), 10)
