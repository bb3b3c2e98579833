"""Placing operators on devices that have several memories.

What another memory saves depends on all that shares it, and the placement problem has seconds per operator. So it is solved with the
savings expected of all of the other memories, of half of them, of a quarter … and of none; the placement is taken that is fastest with
its own tensors in the memories. What is tried with less memory is tried with more, so that more never makes it slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ....targets.model import Target
from ....targets.work.traffic import has_choice, other_memories
from ..place_operators import state
from ..placed import Placement, Question
from .expected_savings import seconds_in_memories

LEAST = 4096
"""Bytes below which memories besides a device's own are not worth a placement of their own."""


def fastest(question: Question, place: Callable[[Question], Placement | None]) -> Placement | None:
    """The placement by `place` that is fastest in the target's memories; its question may expect less of them than the one given."""
    found = _placements(question, place)
    return (
        found[0] if len(found) == 1 else min(found, key=lambda each: (each.conflict is not None, seconds_in_memories(each)), default=None)
    )


def _placements(question: Question, place: Callable[[Question], Placement | None]) -> tuple[Placement, ...]:
    """Different ones, that of the question first."""
    found = place(question)
    if found is None or not any(has_choice(question.target, device.name) for device in question.target.devices):
        return () if found is None else (found,)
    seen, kept = {question.saved}, {found.solution.assignment: found}
    for share in _shares(question.target):
        other = state(question, share)
        if other.saved not in seen:
            seen.add(other.saved)
            rival = place(other)
            if rival is not None:
                kept.setdefault(rival.solution.assignment, rival)
    return tuple(kept.values())


def _shares(target: Target) -> Iterator[float]:
    others = [m.budget for d in target.devices for role in ("activations", "weights") for m in other_memories(target, d.name, role)]
    share = 0.5
    while max(others) * share >= LEAST:
        yield share
        share /= 2
    yield 0.0
