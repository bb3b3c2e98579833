"""Depth-first search again and again, each time in another order and for longer: a bad order is left before it costs much."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .depth_first import DepthFirst, Verdict
from .sections import Problem

NOISE = 0.1, 0.2
"""Spread of the logarithms by which an order's keys are blurred, in turn, once every order has been tried as it is."""
STEPS_PER_BUFFER = 2
"""Placements that the shortest search may make."""


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    units: list[int]
    """Offsets; empty unless a plan was found."""
    work: int


class Restarts:
    """Goes on where it stopped, so that other methods can have a turn in between."""

    def __init__(self, problem: Problem, limit: int, seed: int) -> None:
        self._problem, self._limit = problem, limit
        self._highest = problem.highest(limit)
        self._near = _near(problem)
        self._starting = sum(map(len, self._near)) // 2 + sum(map(len, problem.members))
        self._rounds = _rounds(problem, random.Random(seed))

    def run(self, work: int) -> Outcome:
        """Searches within `work` member visits; the last search is cut short. What it takes to begin one counts as well."""
        spent = 0
        while spent < work:
            order, nodes = next(self._rounds)
            search = DepthFirst(self._problem, self._limit, order, self._highest, self._near)
            verdict = search.run(nodes, work - spent)
            spent += search.work + self._starting
            if verdict is not Verdict.STOPPED:
                return Outcome(verdict, search.offsets() if verdict is Verdict.FOUND else [], spent)
        return Outcome(Verdict.STOPPED, [], spent)


def _near(problem: Problem) -> list[list[int]]:
    """By buffer, those that share a section with it."""
    near: list[list[int]] = [[] for _ in problem.sizes]
    for s, live in enumerate(problem.members):
        born = [i for i in live if problem.first[i] == s]
        older = [i for i in live if problem.first[i] < s]
        for i in born:
            near[i] += older
            near[i] += (j for j in born if j != i)
        for i in older:
            near[i] += born
    return near


def _rounds(problem: Problem, dice: random.Random) -> Iterator[tuple[list[int], int]]:
    """(order, placements allowed), without end: every order as it is, then blurred, for lengths in Luby's sequence."""
    keys = preferences(problem)
    shortest = STEPS_PER_BUFFER * len(problem.sizes)
    for key in keys:
        yield _descending(key), shortest
    turn = 0
    while True:
        for key in keys:
            spread = NOISE[turn // len(keys) % len(NOISE)]
            turn += 1
            yield _descending([k * math.exp(dice.gauss(0, spread)) for k in key]), shortest * luby(turn)


def preferences(problem: Problem) -> list[list[float]]:
    """By rule and buffer, how early it is tried: lifetime, fullest section, lifetime x size, sections x size, sections."""
    sizes, spans = problem.sizes, problem.spans
    totals = [sum(sizes[i] for i in live) for live in problem.members]
    sections = [last - first + 1 for first, last in zip(problem.first, problem.last, strict=True)]
    fullest = [max(totals[first : last + 1]) for first, last in zip(problem.first, problem.last, strict=True)]
    area = [span * size for span, size in zip(spans, sizes, strict=True)]
    block = [count * size for count, size in zip(sections, sizes, strict=True)]
    return [[float(k) for k in key] for key in (spans, fullest, area, block, sections)]


def _descending(key: Sequence[float]) -> list[int]:
    return sorted(range(len(key)), key=lambda i: (-key[i], i))


def luby(number: int) -> int:
    """1 1 2 1 1 2 4 1 1 2 1 1 2 4 8 ...: within a constant factor of the best lengths for searches that are lucky now and then."""
    power = number.bit_length()
    if number == (1 << power) - 1:
        return 1 << (power - 1)
    return luby(number - (1 << (power - 1)) + 1)
