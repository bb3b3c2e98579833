"""Plans that are known without a search: what partitioners usually do, everything on one device, and descents from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..solve.known import improve
from ..solve.limits.limit_rows import without
from ..solve.price import price
from ..solve.problem import Problem
from ..solve.solve import DETERMINISTIC_SECONDS, Solution, solve
from .placed import Placement, Question

MOST_OTHERS = 4
"""Plans tried after the fastest, each of which costs a compilation."""


def greedy_assignment(problem: Problem) -> list[int]:
    """By capability, in topological order: the first device listed that is not the host and can run it, else the host."""
    order = [d for d in range(len(problem.devices)) if d != problem.host] + [problem.host]
    return [next(d for d in order if unit.seconds[d] is not None) for unit in problem.units]


def host_assignment(problem: Problem) -> list[int]:
    """All on the host, but for what only another device can run."""
    return [problem.host if u.seconds[problem.host] is not None else u.devices[0] for u in problem.units]


def known_assignments(problem: Problem) -> list[list[int]]:
    """Greedy, all on the host, all that each device can run, and the best descent from greedy."""
    greedy, on_host = greedy_assignment(problem), host_assignment(problem)
    plans = [greedy, on_host]
    for device in range(len(problem.devices)):
        plans.append([device if u.seconds[device] is not None else on_host[k] for k, u in enumerate(problem.units)])
    return [*plans, improve(problem, greedy)]


def other_placements(question: Question, best: Placement, effort: float = 1.0) -> tuple[Placement, ...]:
    """Further plans by predicted time, for when the fastest breaks a limit that the problem does not know (the arena, power):
    the known ones, and the fastest with one and with two segments per device. Limits that no plan keeps together are left out."""
    problem = question.problem if best.conflict is None else without(question.problem, best.conflict.limits)
    assignments = known_assignments(problem)
    for most in (1, 2):
        found = solve(_narrowed(problem, most), assignments, effort * DETERMINISTIC_SECONDS)
        assignments.extend([list(found.assignment)] if found else [])
    kept: dict[tuple[int, ...], Placement] = {}
    for assignment in assignments:
        cost = price(problem, assignment)
        if cost is not None and tuple(assignment) != best.solution.assignment:
            solution = Solution(tuple(assignment), cost, best.solution.lower_bound, False)
            kept[tuple(assignment)] = replace(best, solution=solution)
    return tuple(sorted(kept.values(), key=lambda placement: placement.solution.price.total)[:MOST_OTHERS])


def _narrowed(problem: Problem, most: int) -> Problem:
    limits: Sequence[int | None] = [problem.piece_limit(device) for device in range(len(problem.devices))]
    return replace(problem, most_pieces=tuple(most if limit is None else min(most, limit) for limit in limits))
