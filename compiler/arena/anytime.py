"""Better and better plans: is there one at the bound? Just above it? Never "the smallest one", a question that tells a search nothing."""

from __future__ import annotations

from collections.abc import Sequence

from .buffer import Buffer
from .depth_first import Verdict
from .portfolio import Portfolio
from .sections import reduce

STEPS = 101, 102, 105, 110, 120, 135
"""Percent of the bound, tried in turn where a plan at the bound is not found."""
LONGEST_STEP = 10_000_000
"""Member visits for one of them the first time: what is found there only bridges until the bound is reached."""


class Improve:
    """A plan, and searches for lower ones. `offsets` and `height` in bytes."""

    def __init__(self, buffers: Sequence[Buffer], offsets: list[int], bound: int, goal: int, seed: int) -> None:
        """`goal`: a height at which to stop, at least `bound`, below which no plan can be."""
        self.offsets = offsets
        self.height = max(offset + b.bytes for offset, b in zip(offsets, buffers, strict=True))
        self._problem, self._seed = reduce(buffers), seed
        self.bound = bound
        """No plan is lower: as given, or as proven since."""
        self._low, self._left = goal, 0
        self._started: dict[int, Portfolio] = {}

    def run(self, work: int) -> None:
        """Searches with about `work` member visits, or until the plan is known to be the best."""
        self._left = work
        self._close_in(work)
        for percent in STEPS:
            if self._try(self._low * percent // 100, min(work // 16, LONGEST_STEP)) is not Verdict.STOPPED:
                break
        self._try(self._low, self._left * 3 // 4)
        for percent in STEPS:
            self._try(self._low * percent // 100, self._left // 2)

    def _close_in(self, work: int) -> None:
        """At the bound; where that is proven impossible, halfway up to the plan, and so on, as long as there are proofs."""
        while self._low < self.height:
            if self._try(self._low, work // 4) is not Verdict.IMPOSSIBLE:
                return
            while self._low < self.height:
                if self._try((self._low + self.height) // 2, work // 4) is Verdict.STOPPED:
                    return

    def _try(self, limit: int, work: int) -> Verdict:
        """Looks for a plan of at most `limit` bytes, if that is lower than what is there."""
        work = min(work, self._left)
        if limit >= self.height or work <= 0:
            return Verdict.FOUND if limit >= self.height else Verdict.STOPPED
        if limit not in self._started:
            self._started[limit] = Portfolio(self._problem, limit, self._seed)
        outcome = self._started[limit].run(work)
        self._left -= outcome.work
        if outcome.verdict is Verdict.FOUND:
            self.offsets = self._problem.offsets(outcome.units)
            self.height = max(offset + size for offset, size in zip(self.offsets, self._problem.bytes, strict=True))
        elif outcome.verdict is Verdict.IMPOSSIBLE:
            self.bound = max(self.bound, limit + 1)
            self._low = max(self._low, limit + 1)
        return outcome.verdict
