"""Policy for a plan over a limit: the next of a few other plans, else wider constraints are taken back, else it is infeasible."""

from __future__ import annotations

from dataclasses import replace

from ..errors import Infeasible, TargetError, UserError
from .error_budget import infeasible_without
from .state import State
from .verdict import OverLimit


def another_plan(state: State, verdict: OverLimit) -> State:
    """The state of the next attempt. Raises the closest miss where no plan is left."""
    waiting = state.waiting if state.refused else verdict.others
    if waiting and isinstance(verdict.problem, Infeasible):
        refused = (*state.refused, verdict.problem)
        constraints = replace(state.constraints, plan=waiting[0])
        change = f"another plan: {verdict.problem.message}"
        return replace(state, constraints=constraints, refused=refused, waiting=waiting[1:], change=change)
    closest = _closest(state, verdict)
    if state.over is not None:
        return taken_back(state, infeasible_without(state.over, state.steps[-1], closest), closest)
    return taken_back(state, closest)


def taken_back(state: State, problem: UserError, cause: UserError | None = None) -> State:
    """The state that keeps off no more than the faults themselves. Raises the problem where that is the case already."""
    narrower = state.narrower
    if not isinstance(problem, TargetError | Infeasible) or narrower is None or narrower.routes == state.routes:
        raise problem from cause
    return narrower


def _closest(state: State, verdict: OverLimit) -> Infeasible | TargetError:
    """Of all plans tried, the one that breaks the fewest limits by the smallest factor."""
    if not isinstance(verdict.problem, Infeasible) or not state.refused:
        return verdict.problem
    every = (*state.refused, verdict.problem)
    return min(every, key=lambda problem: (problem.message.count(";"), problem.demand / max(problem.limit, 1e-9)))
