"""The placement problem for CP-SAT without segments: every device that is used costs one dispatch, however often it is visited.

Every plan is one of this model's and costs no less there: what this model cannot do, no plan can, with any number of segments. So it gives
lower bounds where limits bind, and proofs that limits contradict each other.
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


def relaxed_search(problem: Problem, seconds: float) -> Relaxed:
    """The best relaxed assignment, within `seconds` of CP-SAT's deterministic clock."""
    model = Model()
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
    minimise(model, problem, terms(model, _without_gains(problem), on, list(used.items())))
    answer = model.solve(seconds)
    if answer is None:
        return Relaxed(model.infeasible, 0.0, None)
    assignment = tuple(next(d for d, here in choices.items() if answer.value(here) == 1) for choices in on)
    return Relaxed(False, max(answer.bound / TICKS, 0.0), assignment)


def _without_gains(problem: Problem) -> Problem:
    """Without the limits that more segments would help to keep (average power, where idling lowers it): one dispatch is too few there."""
    kept = tuple(bound for bound in problem.bounds if min(bound.weights.busy) >= 0)
    return problem if len(kept) == len(problem.bounds) else replace(problem, bounds=kept)
