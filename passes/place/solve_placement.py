"""The cheapest placement of a question within its limits, and what the limits cost.

The problem is solved without limits first: where the plan keeps them all, which is the rule, it is the answer with its proof. Else the
limits become rows of the model, and both plans are kept: what the limits forced is the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..solve.limits.conflict import conflict, least
from ..solve.price import SLACK, Excess, excesses, price
from ..solve.problem import Problem
from ..solve.solve import DETERMINISTIC_SECONDS, Solution
from ..solve.solve import solve as exact
from .known_plans import greedy_assignment, host_assignment, known_assignments
from .objectives import LATENCY, PEAK, Solver, solver_for
from .placed import Placement, Question
from .unlimited import Unlimited

DIAGNOSIS_SECONDS = 0.05
"""Of the solver's deterministic clock, for each of the many questions that say what is wrong with limits."""
LIMITED = 10
"""Times the clock that a problem without limits gets, where limits bind: those are harder to prove, and rarer."""


@dataclass(frozen=True, slots=True)
class _Answer:
    solution: Solution
    unlimited: Unlimited | None


def place(question: Question, effort: float = 1.0, objective: str = LATENCY) -> Placement | None:
    """The cheapest placement, in terms of an objective that the question was aimed at; None if the limits leave none. `effort` scales how
    long the solver looks for a proof."""
    problem = question.problem
    found = _solved(problem, effort * DETERMINISTIC_SECONDS, solver_for(objective))
    if found is None:
        return None
    greedy, on_host = price(problem, greedy_assignment(problem)), price(problem, host_assignment(problem))
    return Placement(question, found.solution, greedy, on_host, found.unlimited)


def place_relaxing(question: Question, effort: float = 1.0, objective: str = LATENCY) -> Placement | None:
    """`place`; where no placement keeps the limits, the one that breaks them least, so that a caller can say by how much, with the limits
    that contradict each other. None where a tensor has no route."""
    found = place(question, effort, objective)
    return found if found is not None else _closest(question, effort)


def _closest(question: Question, effort: float) -> Placement | None:
    """Of the best plan without limits and those that break a single limit, each by as little as possible: the fewest limits broken, then
    by the smallest factor."""
    problem = question.problem
    free = problem.without_limits()
    starts = known_assignments(free)
    usual, short = effort * DETERMINISTIC_SECONDS, effort * DIAGNOSIS_SECONDS
    fastest = exact(free, starts, usual)
    if fastest is None:
        return None
    clash = conflict(problem, short)
    single = (least(problem, name, starts, short, usual) for name in clash.limits)
    plans = [fastest, *(one.solution for one in single if one is not None)]
    best = min(plans, key=lambda plan: _far(excesses(problem, plan.assignment, plan.options)))
    cost = price(free, best.assignment, best.options)
    assert cost is not None
    greedy, on_host = price(problem, greedy_assignment(problem)), price(problem, host_assignment(problem))
    return Placement(question, replace(best, price=cost), greedy, on_host, Unlimited(fastest, ()), clash)


def _far(broken: Sequence[Excess]) -> tuple[int, float, float]:
    factors = [excess.value / excess.most if excess.most else float("inf") for excess in broken]
    return len(broken), max(factors, default=0.0), sum(excess.value for excess in broken)


def _solved(problem: Problem, seconds: float, solve: Solver) -> _Answer | None:
    free = replace(problem.without_limits(), rooms=tuple(room for room in problem.rooms if room.name == PEAK))
    fastest = solve(free, known_assignments(free), seconds)
    if fastest is None:
        return None
    broken: tuple[Excess, ...] = excesses(problem, fastest.assignment, fastest.options)
    if not broken:
        return _Answer(fastest, None)
    if solve is exact and any(bound.weights == free.aim and fastest.lower_bound > bound.most * (1 + SLACK) for bound in problem.bounds):
        return None  # no plan at all is so cheap
    found = solve(problem, known_assignments(problem), LIMITED * seconds)
    if found is None:
        return None
    if not found.proven and found.lower_bound < fastest.lower_bound:
        found = replace(found, lower_bound=min(fastest.lower_bound, found.price.cost))
    return _Answer(found, Unlimited(fastest, broken))
