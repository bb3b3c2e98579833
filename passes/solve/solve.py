"""The exact choice of a device for every unit: bound it by minimum cuts, fix what the bound decides, search the rest.

A plan that uses an accelerator costs at least its relaxed cut (`lower_bound.py`) and one dispatch. Against the best plan known that
rules out single choices (reduced-cost fixing) and limits how many segments a better plan can have; what is left goes to
CP-SAT (`stage_model.py`), warm-started with the best plan known. Limits only take plans away, so the cuts bound what is left too; where
they bind, the bound of `relaxed_model.py`, which knows them, is tighter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from .known import Plan, best_of, improve, limited
from .lower_bound import CutBound, cut_bound
from .price import Price
from .problem import Problem, Unit
from .relaxed_model import relaxed_search
from .scale import scaled
from .separate_units import separate_units
from .stage_model import search, used_devices

MAX_VISITS = 3
"""Visits of each device the first search allows; doubled while a solution uses them all and more could pay."""
DETERMINISTIC_SECONDS = 0.5
"""CP-SAT's own deterministic clock, so that two machines stop at the same point."""
GAP = 1e-4
"""Relative; a plan within it of the bound counts as optimal, as is usual for mixed-integer solvers."""
MAX_PRODUCT = 64
"""Assignments left over up to which all are priced instead of searched."""
SMALL = 200
"""Units times visits below which the search goes on until the proof covers every number of segments."""
MAX_SETS = 3
"""Accelerators up to which every set of them is a case of its own."""
ROUNDS = 3
MAX_FORCED = 200
"""Units up to which the bound of every single choice is computed: one minimum cut each."""
FEW_VISITS, MOST_VISITS = 2, 16
"""Visits with which a first plan is looked for where the limits leave no known one, and beyond which it is given up."""


@dataclass(frozen=True, slots=True)
class Solution:
    """An assignment with its exact price, and what was proved about it."""

    assignment: tuple[int, ...]
    price: Price
    lower_bound: float
    """What no assignment of this problem can beat, in terms of its objective: seconds for latency."""
    proven: bool
    """Whether the assignment is optimal, among the plans `visits` allows."""
    visits: int | None = None
    """The most segments per device among which the proof holds; None: among all plans."""
    options: tuple[int, ...] = ()
    """The index of every unit's option on its device; () where all are the first."""

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, 0 for a proven optimum."""
        return 0.0 if self.proven or self.price.cost == 0 else max(0.0, 1 - self.lower_bound / self.price.cost)


@dataclass(frozen=True, slots=True)
class _Case:
    """All plans that use exactly these accelerators, and what they cost at least: by one dispatch of each, and by one of the cheapest
    for every set of units that needs segments of its own."""

    accelerators: tuple[int, ...]
    bound: CutBound
    dispatch: float
    apart: CutBound | None = None
    """None where it says no more than `bound`."""
    apart_dispatch: float = 0.0

    @property
    def floor(self) -> float:
        return self._least(lambda bound: bound.best)

    def forced_host(self, unit: int) -> float:
        return self._least(lambda bound: bound.forced_host[unit])

    def forced_accelerator(self, unit: int) -> float:
        return self._least(lambda bound: bound.forced_accelerator[unit])

    def _least(self, of: Callable[[CutBound], float]) -> float:
        once = of(self.bound) + self.dispatch
        return once if self.apart is None else max(once, of(self.apart) + self.apart_dispatch)


def solve(problem: Problem, starts: Sequence[Sequence[int]], seconds: float = DETERMINISTIC_SECONDS) -> Solution | None:
    """The cheapest assignment. `starts` are known assignments (greedy, all on the host …). None if no assignment is possible, or none was
    found within the limits."""
    costs = scaled(problem)
    host_only = [problem.host] * len(problem.units)
    best = best_of(problem, [*starts, *([host_only] if all(unit.seconds[problem.host] is not None for unit in problem.units) else [])])
    cases = _cases(costs, forced=False)
    best = best_of(problem, _from_cuts(problem, cases), best) or _first(problem, seconds)
    if best is None:
        return None
    reduced, cases = _reduce(costs, best.price.cost)
    if not cases:
        return _solution(best, best.price.cost, True)
    kept = _narrowed(problem, reduced)
    if math.prod(sum(len(unit.on(d)) for d in unit.devices) for unit in kept.units) <= MAX_PRODUCT:
        best = _every(problem, kept, best)
        return _solution(best, best.price.cost, True)
    return _search(problem, kept, best, cases, seconds)


def _solution(plan: Plan, bound: float, proven: bool, visits: int | None = None) -> Solution:
    return Solution(plan.assignment, plan.price, bound, proven, visits, plan.options if any(plan.options) else ())


def _narrowed(problem: Problem, reduced: Problem) -> Problem:
    """The problem with the devices that the reduced one still has."""
    units = zip(problem.units, reduced.units, strict=True)
    return replace(problem, units=tuple(replace(unit, seconds=_kept(unit, other)) for unit, other in units))


def _kept(unit: Unit, other: Unit) -> tuple[float | None, ...]:
    return tuple(s if left is not None else None for s, left in zip(unit.seconds, other.seconds, strict=True))


def _every(problem: Problem, kept: Problem, best: Plan) -> Plan:
    """The best of all plans that are left."""
    choices = [[(d, j) for d in unit.devices for j in range(len(unit.on(d)))] for unit in kept.units]
    for plan in product(*choices):
        best = best_of(problem, [[d for d, _ in plan]], best, [[j for _, j in plan]]) or best
    return best


def _first(problem: Problem, seconds: float) -> Plan | None:
    """A plan within the limits, where no known one is: with few visits first."""
    if relaxed_search(problem, seconds).infeasible:
        return None
    visits = FEW_VISITS
    while visits <= min(MOST_VISITS, 2 * len(problem.units)):
        found = search(problem, None, visits, seconds)
        plan = best_of(problem, [found.assignment], None, [found.options]) if found is not None else None
        if plan is not None:
            return plan
        visits *= 2
    return None


def _cases(problem: Problem, forced: bool, alive: Sequence[tuple[int, ...]] | None = None) -> list[_Case]:
    """One case per set of accelerators (of single ones and all, where there are too many sets)."""
    accelerators = [d for d in used_devices(problem) if d != problem.host]
    sizes = range(1, len(accelerators) + 1) if len(accelerators) <= MAX_SETS else (1, len(accelerators))
    sets = [chosen for size in sizes for chosen in combinations(accelerators, size)]
    kept = [chosen for chosen in sets if alive is None or any(set(chosen) <= set(other) for other in alive)]
    return [_case(problem, chosen, forced, len(accelerators)) for chosen in kept]


def _case(problem: Problem, chosen: tuple[int, ...], forced: bool, count: int) -> _Case:
    bound, dispatch = cut_bound(problem, chosen, forced), _least_dispatch(problem, chosen, count)
    cheapest, once = min(problem.dispatch[d] for d in chosen), 1 if count > MAX_SETS else len(chosen)
    sets = separate_units(problem, chosen)
    if len(sets) <= once or cheapest <= 0:
        return _Case(chosen, bound, dispatch)
    # n segments, and each accelerator at least once: dispatch + (n - once) * cheapest
    return _Case(chosen, bound, dispatch, cut_bound(problem, chosen, forced, sets, cheapest), dispatch - once * cheapest)


def _least_dispatch(problem: Problem, chosen: Sequence[int], count: int) -> float:
    """Every accelerator of the set is used; of a set that stands for many sets, at least one."""
    if count > MAX_SETS and len(chosen) > 1:
        return min(problem.dispatch[d] for d in chosen)
    return sum(problem.dispatch[d] for d in chosen)


def _reduce(problem: Problem, upper: float) -> tuple[Problem, list[_Case]]:
    """The problem without choices that no plan cheaper than `upper` contains, and the cases that are still open; bounds get tighter
    as choices go, so it is repeated a few times. A plan that uses no accelerator is the one on the host alone, which is known."""
    slack = upper * (1 - GAP)
    cases = [case for case in _cases(problem, forced=False) if case.floor < slack]
    for _ in range(ROUNDS if len(problem.units) <= MAX_FORCED else 0):
        if not cases:
            break
        cases = _cases(problem, True, [case.accelerators for case in cases])
        cases = [case for case in cases if case.floor < slack]
        units = tuple(_fixed(problem, k, cases, slack) for k in range(len(problem.units)))
        if units == problem.units:
            break
        problem = replace(problem, units=units)
    return problem, cases


def _fixed(problem: Problem, k: int, cases: Sequence[_Case], slack: float) -> Unit:
    """The unit without the devices that every open case rules out for it."""
    unit = problem.units[k]

    def least(case: _Case, device: int, seconds: float) -> float:
        if device == problem.host:
            return case.forced_host(k)
        if device not in case.accelerators:
            return float("inf")
        fastest = min(s for d in case.accelerators if (s := unit.seconds[d]) is not None)
        return case.forced_accelerator(k) + seconds - fastest

    kept = tuple(s if s is not None and any(least(c, d, s) < slack for c in cases) else None for d, s in enumerate(unit.seconds))
    return replace(unit, seconds=kept) if any(s is not None for s in kept) else unit


def _search(problem: Problem, reduced: Problem, best: Plan, cases: Sequence[_Case], seconds: float) -> Solution:
    """Searches with few visits first, then with more while they could pay."""
    floor, relaxed = min(case.floor for case in cases), min(case.bound.best for case in cases)
    if limited(problem):
        floor = max(floor, relaxed_search(reduced, seconds).bound)
        if floor >= best.price.cost * (1 - GAP):
            return _solution(best, best.price.cost, True)
    visits = MAX_VISITS
    while True:
        most = _most_visits(reduced, best.price.cost, relaxed)
        allowed = min(visits, most)
        found = search(reduced, (best.assignment, best.options), allowed, seconds)
        best = best_of(problem, [found.assignment] if found else [], best, [found.options] if found else None) or best
        if found is None or not found.proven:
            bound = floor if found is None or allowed < most else max(floor, found.bound)
            return _solution(best, min(bound, best.price.cost), False)
        if allowed >= _most_visits(reduced, best.price.cost, relaxed):
            return _solution(best, best.price.cost, True)
        if not _exhausted(best.price, allowed) and len(reduced.units) * allowed > SMALL:
            # a plan with more segments could still be better in theory; the proof then says how many it covers
            return _solution(best, min(floor, best.price.cost), True, allowed)
        visits *= 2


def _from_cuts(problem: Problem, cases: Sequence[_Case]) -> Iterable[list[int]]:
    """Plans that follow the minimum cuts, improved by moving whole segments."""
    for case in cases:
        for bound in (case.bound, case.apart):
            if bound is not None and bound.sides:
                units = zip(problem.units, bound.sides, strict=True)
                plan = [_fastest(unit, case.accelerators) if away else problem.host for unit, away in units]
                yield plan
                yield improve(problem, plan)


def _fastest(unit: Unit, devices: Sequence[int]) -> int:
    return min((d for d in devices if unit.seconds[d] is not None), key=lambda d: (unit.seconds[d] or 0.0, d))


def _most_visits(problem: Problem, upper: float, relaxed: float) -> int:
    """The most segments of any one accelerator that a plan cheaper than `upper` can have."""
    most = 1
    for device in used_devices(problem):
        if device != problem.host:
            dispatch = problem.dispatch[device] * problem.aim.busy[device]
            most = max(most, len(problem.units) if dispatch <= 0 else int((upper - relaxed) / dispatch + 1e-9))
    return min(most, len(problem.units))


def _exhausted(found: Price, visits: int) -> bool:
    counts: dict[int, int] = {}
    for piece in found.pieces:
        counts[piece.device] = counts.get(piece.device, 0) + 1
    return max(counts.values(), default=0) >= visits
