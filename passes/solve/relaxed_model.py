"""The placement problem for CP-SAT without segments: every device that is used costs one dispatch, however often it is visited.

Every plan is one of this model's and costs no less there: what this model cannot do, no plan can, with any number of segments. So it gives
lower bounds where limits bind, and proofs that limits contradict each other. Without its dispatches, it says how many segments can pay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .cp_sat import Model, Sum
from .problem import Problem
from .terms import TICKS, minimise, terms


@dataclass(frozen=True, slots=True)
class Relaxed:
    infeasible: bool
    """Whether it is proven that no plan keeps the limits."""
    bound: float
    """No plan costs less, in terms of the objective."""
    assignment: tuple[int, ...] | None
    """What was found; it may break limits once it is cut into segments."""
    spent: float = 0.0
    """Of CP-SAT's deterministic clock."""


def relaxed_search(problem: Problem, seconds: float, segments: int | None = None, dispatched: bool = True) -> Relaxed:
    """The best relaxed assignment, within `seconds` of CP-SAT's deterministic clock. `segments`: of accelerators, the most there may be;
    `dispatched`: whether dispatches count for the objective, as they always do for limits."""
    model, most = Model(), len(problem.units) if segments is None else min(segments, len(problem.units))
    on = []
    used = {device: model.boolean() for device in range(len(problem.devices))}
    for unit in problem.units:
        literals = {device: model.boolean() for device in unit.devices}
        model.between(1, Sum(literals.values()), 1)
        for device, literal in literals.items():
            model.implies(literal, used[device])
        on.append({device: Sum([literal]) for device, literal in literals.items()})
    for device, literal in used.items():
        if problem.piece_limit(device) == 0:
            model.at_most(Sum([literal]), 0)
    if problem.most_in_all is not None:
        model.at_most(Sum(used.values()), problem.most_in_all)
    found = terms(model, problem, on, _visits(model, problem, used, most))
    minimise(model, problem, found if dispatched else replace(found, used=[]))
    answer = model.solve(seconds)
    if answer is None:
        return Relaxed(model.infeasible, 0.0, None, model.spent)
    assignment = tuple(next(d for d, here in choices.items() if answer.value(here) == 1) for choices in on)
    return Relaxed(False, max(answer.bound / TICKS, 0.0), assignment, model.spent)


def _visits(model: Model, problem: Problem, used: dict[int, int], most: int) -> list[tuple[int, int]]:
    """Segments of each device: as many as it likes where a limit may gain from one more (average power, which idling lowers)."""
    found = []
    for device, literal in used.items():
        count = literal
        if problem.dispatch[device] and any(bound.weights.busy[device] < 0 for bound in problem.bounds):
            limit = problem.piece_limit(device)
            ceiling = most + 1 if device == problem.host else most
            count = model.whole(0, ceiling if limit is None else min(limit, ceiling))
            model.at_least(Sum([count]).plus(Sum([literal]), -1), 0)
            model.at_most(Sum([count]).plus(Sum([literal]), -ceiling), 0)
        found.append((device, count))
    return found
