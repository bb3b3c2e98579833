"""Placements of which none is better than another in every quantity asked about, by limits on all but the first (epsilon constraint,
Haimes, Lasdon, Wismer: IEEE Trans. Systems, Man and Cybernetics 1(3), 1971)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ..solve.known import Plan
from ..solve.limits.conflict import least
from ..solve.limits.limit_rows import needed, with_limit
from ..solve.problem import Bound, Problem, Room
from ..solve.solve import DETERMINISTIC_SECONDS, Solution
from .known_plans import known_assignments
from .limit_terms import energy_weights, time_weights, working_devices
from .objectives import ENERGY, LATENCY, MEMORY, aimed, solver_for
from .placed import Placement, Question

QUANTITIES = (LATENCY, MEMORY, ENERGY)
STEPS = 6
"""Limits that are tried between the most and the least of a quantity."""
SEVERAL_STEPS = 4
"""The same, of each of two."""


@dataclass(frozen=True, slots=True)
class Point:
    placement: Placement
    values: tuple[float, ...]
    """Of the quantities, in seconds, bytes and joules, as the placement knows them."""


def front(question: Question, quantities: Sequence[str], effort: float) -> tuple[Point, ...]:
    """Points in the order of the first quantity, the best first; () where the limits leave no placement."""
    first, *others = quantities
    aim = aimed(question, first)
    problem = _measured(aim, others)
    seconds, starts = effort * DETERMINISTIC_SECONDS, known_assignments(problem)
    best = solver_for(first)(problem, starts, seconds)
    if best is None:
        return ()
    found = [best]
    for levels in product(*(_levels(problem, name, best, seconds, SEVERAL_STEPS if len(others) > 1 else STEPS) for name in others)):
        limited = problem
        for name, most in zip(others, levels, strict=True):
            limited = with_limit(limited, _row(name), most)
        plan = solver_for(first)(limited, starts, seconds)
        found += [plan] if plan is not None else []
    points = {s.assignment: Point(Placement(question, s, None, None), _values(problem, first, others, s)) for s in found}
    return tuple(sorted(undominated(list(points.values())), key=lambda point: point.values))


def undominated(points: Sequence[Point]) -> Iterator[Point]:
    """Those that no other one is at least as good as in everything and better in something; of equal ones the first."""
    for k, point in enumerate(points):
        rivals = (other.values for j, other in enumerate(points) if other.values != point.values or j < k)
        if not any(all(a <= b for a, b in zip(values, point.values, strict=True)) for values in rivals):
            yield point


def _row(name: str) -> str:
    return f"front {name}"


def _measured(question: Question, names: Sequence[str]) -> Problem:
    """The problem with a limit on each quantity that does not bind yet."""
    problem = question.problem
    for name in names:
        if name == MEMORY:
            size = sum(memory.size for memory in question.target.memories)
            room = Room(_row(name), working_devices(question.target), size, tuple(range(len(problem.devices))))
            problem = replace(problem, rooms=(*problem.rooms, room))
        else:
            weights = energy_weights(question.target) if name == ENERGY else time_weights(question.target)
            problem = replace(problem, bounds=(*problem.bounds, Bound(_row(name), weights, 1e6)))
    return problem


def _levels(problem: Problem, name: str, best: Solution, seconds: float, steps: int) -> list[float]:
    """From just below what the best plan needs to the least that any plan needs."""
    most = needed(problem, _row(name), Plan(best.assignment, best.options or (0,) * len(best.assignment), best.price))
    fewest = least(problem, _row(name), [list(best.assignment)], seconds)
    low = most if fewest is None else min(fewest.value, most)
    return [low + (most - low) * k / steps for k in range(steps, -1, -1)] if low < most else [most]


def _values(problem: Problem, first: str, others: Sequence[str], solution: Solution) -> tuple[float, ...]:
    plan = Plan(solution.assignment, solution.options or (0,) * len(solution.assignment), solution.price)
    head = solution.price.total if first == LATENCY else solution.price.cost
    return (head, *(needed(problem, _row(name), plan) for name in others))
