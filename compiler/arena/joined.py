"""Depth-first search on blocks instead of buffers: joined in another way each time, with more doubt in turn."""

from __future__ import annotations

import random

from .blocks import Doubt, Joining, spread
from .depth_first import Verdict
from .restarts import Outcome, Restarts, luby
from .sections import Problem, reduce

DOUBTS = Doubt.SLIGHT, Doubt.SOME, Doubt.MUCH
SHORTEST = 100_000
"""Member visits of the shortest search."""
MOST_LEFT = 0.85
"""Share of blocks in buffers above which nothing is gained: the buffers themselves are searched anyway."""


class Joined:
    """Looks for a plan of at most `limit` bytes; goes on with other blocks where it stopped."""

    def __init__(self, problem: Problem, limit: int, seed: int) -> None:
        self._problem, self._limit = problem, limit
        self._dice = random.Random(seed)
        self._tries = 0
        self.helps = max(problem.aligns) == 1
        """Whether it is of use here: false where offsets are bound to alignments, or where hardly anything fits together."""

    def run(self, work: int) -> Outcome:
        """Searches within about `work` member visits; never finds that there is no plan."""
        spent = 0
        while self.helps and spent < work:
            cycle, turn = divmod(self._tries, len(DOUBTS))
            self._tries += 1
            joining = Joining(self._problem, self._dice)
            blocks = joining.blocks(DOUBTS[turn], work - spent)
            spent += joining.work + len(self._problem.sizes)
            if len(blocks) > MOST_LEFT * len(self._problem.sizes):
                self.helps = spent >= work  # it may only have been cut short
                continue
            smaller = reduce(blocks)
            outcome = Restarts(smaller, self._limit, self._tries).run(min(SHORTEST * luby(cycle + 1), max(work - spent, 0)))
            spent += outcome.work
            if outcome.verdict is Verdict.FOUND:
                units = [offset // self._problem.unit for offset in smaller.offsets(outcome.units)]
                return Outcome(Verdict.FOUND, spread(blocks, units, len(self._problem.sizes)), spent)
        return Outcome(Verdict.STOPPED, [], spent)
