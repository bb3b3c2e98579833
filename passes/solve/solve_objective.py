"""One entry for every objective of the solver."""

from __future__ import annotations

from collections.abc import Sequence

from .problem import Objective, Problem
from .solve import DETERMINISTIC_SECONDS, Solution, solve
from .solve_overlap import solve_latency, solve_throughput


def solve_for(
    problem: Problem, starts: Sequence[Sequence[int]], objective: Objective = Objective.SUM, seconds: float = DETERMINISTIC_SECONDS
) -> Solution | None:
    """The best plan for an objective; its price's `cost` and the solution's bound and gap are in the objective's terms. `starts` are known
    assignments. None if the limits leave no plan, or none was found."""
    if objective is Objective.SUM:
        return solve(problem, starts, seconds)
    return (solve_latency if objective is Objective.LATENCY else solve_throughput)(problem, starts, seconds)
