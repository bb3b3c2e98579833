"""One option of each, the cheapest together whose losses add up to no more than a limit: a knapsack with several ways to pack each item.

CP-SAT on whole numbers: costs in parts of the dearest choice, losses rounded up, so that a choice never exceeds the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .cp_sat import Model, Sum

TICKS = 1e9
"""Parts that the dearest choice, and the limit, are divided in."""
SECONDS = 5.0
"""Of the solver's deterministic clock."""


def one_of_each(ways: Sequence[Sequence[tuple[float, float]]], most: float, seconds: float = SECONDS) -> tuple[int, ...]:
    """ways: for each item its options, (cost, loss), no number below zero; one option of each loses nothing. Returns the index of an option
    for each: the cheapest choice, or the best that was found in `seconds`."""
    model, cost, loss, literals = Model(), Sum(), Sum(), list[list[int]]()
    dearest = sum(max(price for price, _ in own) for own in ways) or 1.0
    for own in ways:
        row = [model.boolean() for _ in own]
        model.between(1, Sum(row), 1)
        for literal, (price, lost) in zip(row, own, strict=True):
            cost.add(literal, round(price / dearest * TICKS))
            loss.add(literal, _ticks(lost, most))
        literals.append(row)
    model.at_most(loss, int(TICKS))
    model.minimise(cost)
    answer = model.solve(seconds)
    if answer is None:
        return tuple(next(k for k, (_, lost) in enumerate(own) if not lost) for own in ways)
    return tuple(next(k for k, literal in enumerate(row) if answer.values[literal]) for row in literals)


def _ticks(lost: float, most: float) -> int:
    """More than the limit allows is one tick more than that."""
    return math.ceil(min(lost / most, 1 + 1 / TICKS) * TICKS) if most > 0 else int(TICKS) + 1 if lost > 0 else 0
