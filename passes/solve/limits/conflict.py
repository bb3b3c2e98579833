"""Limits that no plan keeps together: which they are, and how little of each would have to give.

A minimal set is found by a deletion filter: leave a limit out, and where the others still contradict each other, leave it out for good
(Chinneck, Dravnieks: Locating minimal infeasible constraint sets in linear programs, ORSA J. Computing 3(2), 1991).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..known import Plan
from ..problem import Problem
from ..relaxed_model import relaxed_search
from ..solve import Solution, solve
from .limit_rows import limit_names, needed, whole_numbers, with_limit, without

MOST_STEPS = 12
"""Solutions looked for between what a limit allows and what a plan needs of it."""
CLOSE = 0.01
"""Relative: how near the least value that was found to be enough comes to one that is not."""


@dataclass(frozen=True, slots=True)
class Conflict:
    limits: tuple[str, ...]
    """No plan keeps these together; without any one of them some plan was found, or the search gave up."""
    proven: bool
    """Whether that no plan keeps them is proven; else none was found."""


@dataclass(frozen=True, slots=True)
class Least:
    """The plan that needs least of one limit while it keeps all others."""

    limit: str
    value: float
    solution: Solution
    proven: bool
    """Whether 1 % less is proven not to be enough."""
    bound: float = 0.0
    """No plan needs less."""


def conflict(problem: Problem, seconds: float) -> Conflict:
    """Of a problem whose limits leave no plan: which of them cannot be kept together."""
    dropped: list[str] = []
    for name in limit_names(problem):
        if solve(without(problem, [*dropped, name]), [], seconds) is None:
            dropped.append(name)
    core = without(problem, dropped)
    return Conflict(limit_names(core), relaxed_search(core, seconds).infeasible)


def least(
    problem: Problem, name: str, starts: Sequence[Sequence[int]], seconds: float, direct_seconds: float | None = None
) -> Least | None:
    """None where the other limits leave no plan, whatever this one allows. `direct_seconds`: for limits that take one search, not many."""
    free = without(problem, [name])
    direct = next((bound for bound in problem.bounds if bound.name == name and not bound.average), None)
    if direct is not None and min(direct.weights.busy) >= 0:
        found = solve(replace(free, objective=direct.weights), starts, direct_seconds or seconds)
        if found is None:
            return None
        again = Plan(found.assignment, found.options, found.price)
        return Least(name, needed(problem, name, again), found, found.proven and found.visits is None, found.lower_bound)
    return _descend(problem, name, solve(free, starts, seconds), seconds)


def _descend(problem: Problem, name: str, first: Solution | None, seconds: float) -> Least | None:
    """Halves the way between what is enough and what is not."""
    if first is None:
        return None
    whole = whole_numbers(problem, name)
    best, enough, low, proven = first, _of(problem, name, first), -1.0 if whole else 0.0, False
    bound = 0.0
    for _ in range(MOST_STEPS):
        if enough - low <= max(CLOSE * enough, 1.0 if whole else 0.0):
            break
        tried = (low + enough) // 2 if whole else (low + enough) / 2
        limited = with_limit(problem, name, tried)
        found = solve(limited, [], seconds)
        if found is not None:
            best, enough = found, _of(problem, name, found)
        else:
            low, proven = tried, relaxed_search(limited, seconds).infeasible
            bound = max(bound, low + whole) if proven else bound
    return Least(name, enough, best, proven, min(bound, enough))


def _of(problem: Problem, name: str, solution: Solution) -> float:
    return needed(problem, name, Plan(solution.assignment, solution.options, solution.price))
