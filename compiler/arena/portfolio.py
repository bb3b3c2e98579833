"""Methods that look for a plan within one capacity, taking turns: each finds quickly what another misses."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from . import feasible
from .depth_first import Verdict
from .joined import Joined
from .restarts import Outcome, Restarts, preferences
from .sections import Problem

SLICE = feasible.WORK_PER_SECOND // 10
"""Work of a short turn, in member visits: somewhat over a second."""
SHORT = SLICE // 256
"""Work of the first turn of depth-first search: a small graph's answer, or its proof that there is none."""
LONG = 8
"""Short turns that a long one of CP-SAT takes."""
ROTATION = 0, 2, 4, 3, 1
"""The rules of preference as CP-SAT takes its turns."""
NOISE = 0.15
"""Spread of the logarithms by which CP-SAT's preferences are blurred after each rule has had its turns."""


@dataclass(frozen=True, slots=True)
class _Turn:
    work: int
    preference: list[float] | None = None
    """Of CP-SAT; None for depth-first search."""
    seed: int = 0
    joined: bool = False
    """Whether blocks are searched instead of buffers."""


class Portfolio:
    """Looks for a plan of at most `limit` bytes; goes on where it stopped."""

    def __init__(self, problem: Problem, limit: int, seed: int) -> None:
        self._problem, self._limit = problem, limit
        self._search, self._joined = Restarts(problem, limit, seed), Joined(problem, limit, seed)
        self._turns = _turns(problem, seed)
        self._turn = next(self._turns)
        self._done = 0

    def run(self, work: int) -> Outcome:
        """Searches with about `work` member visits; a turn of CP-SAT that does not fit in is left to depth-first search."""
        spent = 0
        while spent < work:
            if self._done >= self._turn.work or (self._turn.joined and not self._joined.helps):
                self._turn, self._done = next(self._turns), 0
                continue
            outcome = self._ask(work - spent)
            spent += outcome.work
            if outcome.verdict is not Verdict.STOPPED:
                return Outcome(outcome.verdict, outcome.units, spent)
        return Outcome(Verdict.STOPPED, [], spent)

    def _ask(self, work: int) -> Outcome:
        """Goes on with the turn for at most `work`."""
        turn, rest = self._turn, self._turn.work - self._done
        if turn.preference is None:
            outcome = (self._joined if turn.joined else self._search).run(min(rest, work))
            self._done += outcome.work
        elif turn.work > work:
            outcome = self._search.run(work)
        else:
            outcome = feasible.ask(self._problem, self._limit, turn.preference, turn.work, turn.seed)
            self._done = turn.work
        return outcome


def _turns(problem: Problem, seed: int) -> Iterator[_Turn]:
    """Without end: a turn of each in exchange, CP-SAT once with every rule; after that one long turn in six. A short time first for each
    of those that may need no more."""
    keys = preferences(problem)
    dice = random.Random(seed)
    number = 0
    yield _Turn(SHORT)
    yield _Turn(SLICE // 2, joined=True)
    while True:
        spread = NOISE if number else 0.0
        for rule in ROTATION:
            yield _Turn(SLICE)
            yield _Turn(SLICE, [key * math.exp(dice.gauss(0, spread)) for key in keys[rule]], number)
            yield _Turn(SLICE, joined=True)
            number += 1
        yield _Turn(SLICE)
        rule = ROTATION[(number // len(ROTATION) - 1) % len(ROTATION)]
        yield _Turn(LONG * SLICE, keys[rule], number)
