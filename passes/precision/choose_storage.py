"""Which of several forms each weight is stored in: the fastest within a sum of losses."""

from __future__ import annotations

from collections.abc import Sequence

from ..solve.one_of_each import one_of_each


def choose_storage(ways: Sequence[Sequence[tuple[float, float]]], most_loss: float) -> tuple[int, ...]:
    """ways: of each weight, the seconds and the loss of each form; one form of each loses nothing. Returns the index of a form for each.

    Squares of losses add up: rounding of one weight has nothing to do with another's."""
    return one_of_each([[(seconds, loss**2) for seconds, loss in own] for own in ways], most_loss**2)
