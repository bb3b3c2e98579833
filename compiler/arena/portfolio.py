"""Methods that look for a plan within one capacity, taking turns: each finds quickly what another misses."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from . import feasible
from .depth_first import Verdict
from .restarts import Outcome, Restarts, preferences
from .sections import Problem

SLICE = feasible.WORK_PER_SECOND // 10
"""Work of a short turn, in member visits: somewhat over a second."""
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


class Portfolio:
    """Looks for a plan of at most `limit` bytes; goes on where it stopped."""

    def __init__(self, problem: Problem, limit: int, seed: int) -> None:
        self._problem, self._limit = problem, limit
        self._search = Restarts(problem, limit, seed)
        self._turns = _turns(problem, seed)
        self._turn = next(self._turns)
        self._done = 0

    def run(self, work: int) -> Outcome:
        """Searches with about `work` member visits; a turn of CP-SAT that does not fit in is left to depth-first search."""
        spent = 0
        while spent < work:
            rest = self._turn.work - self._done
            if self._turn.preference is None or self._turn.work > work - spent:
                outcome = self._search.run(min(rest, work - spent) if self._turn.preference is None else work - spent)
            else:
                outcome = feasible.ask(self._problem, self._limit, self._turn.preference, self._turn.work, self._turn.seed)
                self._done = self._turn.work
            spent += outcome.work
            if outcome.verdict is not Verdict.STOPPED:
                return Outcome(outcome.verdict, outcome.units, spent)
            if self._turn.preference is None:
                self._done += outcome.work
            if self._done >= self._turn.work:
                self._turn, self._done = next(self._turns), 0
        return Outcome(Verdict.STOPPED, [], spent)


def _turns(problem: Problem, seed: int) -> Iterator[_Turn]:
    """Without end: a turn of each in exchange, CP-SAT once with every rule; after that one long turn in six."""
    keys = preferences(problem)
    dice = random.Random(seed)
    number = 0
    while True:
        spread = NOISE if number else 0.0
        for rule in ROTATION:
            yield _Turn(SLICE)
            yield _Turn(SLICE, [key * math.exp(dice.gauss(0, spread)) for key in keys[rule]], number)
            number += 1
        yield _Turn(SLICE)
        rule = ROTATION[(number // len(ROTATION) - 1) % len(ROTATION)]
        yield _Turn(LONG * SLICE, keys[rule], number)
