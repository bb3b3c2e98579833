"""What a placement would cost with some operators on another device: how `why` prices a choice that was not taken."""

from __future__ import annotations

from collections.abc import Collection

from ..solve.known import improve
from ..solve.price import price
from ..solve.solve import solve
from .candidates import Refusal
from .known_plans import known_assignments
from .place_operators import state
from .placed import DeviceAnswers, Placement

FORCED_SECONDS = 0.02
"""Of the solver's deterministic clock: enough for a plan that only says what something would cost."""


def force(placement: Placement, numbers: Collection[int], device: int, effort: float) -> Placement | None:
    """A cheap placement with the nodes of these numbers on `device`, which runs them all: the cheapest of the known ones, of `placement`
    with them moved, and of what a short search finds. None where the limits on memory and segments leave none."""
    before = placement.question
    elsewhere = Refusal("", ("kept off for comparison",))
    answers = tuple(
        tuple(answer if d == device else elsewhere for d, answer in enumerate(row)) if k in numbers else row
        for k, row in enumerate(before.answers)
    )
    asked = DeviceAnswers(before.graph, before.target, before.nodes, answers, compiled=before.compiled)
    question = state(asked, before.share)
    problem, moved = question.problem, []
    for unit, members in zip(problem.units, question.units, strict=True):
        now = placement.devices[members[0]]
        moved.append(now if unit.seconds[now] is not None else unit.devices[0])
    solution = solve(problem, [*known_assignments(problem), moved, improve(problem, moved)], FORCED_SECONDS * effort)
    return Placement(question, solution, None, None) if solution else None


def all_on(placement: Placement, device: int) -> float | None:
    """Predicted seconds with everything on `device` that it can run and the rest where it is; None if that breaks a limit."""
    problem, ours = placement.question.problem, placement.solution.assignment
    found = price(problem, [device if u.seconds[device] is not None else ours[k] for k, u in enumerate(problem.units)])
    return None if found is None else found.total
