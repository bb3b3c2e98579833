"""Where no mixture of forms keeps a target's limits: how little of each would have to give, each with a choice that shows it."""

from __future__ import annotations

from dataclasses import dataclass

from ..place.known_plans import known_assignments
from ..solve.limits.conflict import conflict, least
from ..solve.limits.limit_rows import ERROR
from .choose_forms import FormChoice, FormQuestion, Stated, choice_of, limited

SHORT, USUAL = 0.05, 1.0
"""Of the solver's deterministic clock: for each of many questions, and for the plan that is reported."""
LOSS = ERROR
"""The limit on what a choice may lose, among the others."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """One limit, with the least value that is enough while the others hold."""

    limit: str
    """As the target has it ("latency", "memory peak"), or LOSS."""
    value: float
    """In the limit's own terms: seconds, bytes …; runs a second as seconds."""
    choice: FormChoice


@dataclass(frozen=True, slots=True)
class NoChoice:
    """Limits that contradict each other."""

    limits: tuple[str, ...]
    proven: bool
    """Whether that nothing keeps them is proven; else nothing was found."""
    relaxed: tuple[Relaxed, ...]


def no_choice(question: FormQuestion, stated: Stated, most_loss: float) -> NoChoice:
    """Of a problem that has no solution with a loss of `most_loss`."""
    problem = limited(stated, most_loss)
    clash = conflict(problem, SHORT)
    found = [(name, least(problem, name, known_assignments(problem), SHORT, USUAL)) for name in clash.limits]
    relaxed = (Relaxed(name, one.value, choice_of(question, stated, one.solution)) for name, one in found if one is not None)
    return NoChoice(clash.limits, clash.proven, tuple(relaxed))
