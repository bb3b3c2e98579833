"""The exact choice of a device for every unit: bound it by minimum cuts, fix what the bound decides, search the rest.

What costs too much for any plan better than the best one known is ruled out by minimum cuts (`cases.py`), once without the
limits and once with a price on each (`multipliers.py`); they also limit how many segments a better plan can have. What is left goes
to CP-SAT (`stage_model.py`), warm-started with the best plan known; where limits bind, `relaxed_model.py`, which knows them all, bounds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from .cases import Case, cases_of, from_cuts, host_varies, reduce
from .known import Plan, best_of, improve, in_one_form, limited
from .multipliers import best_prices, priced, rows
from .price import Price
from .problem import Problem, Unit
from .relaxed_model import relaxed_search
from .scale import scaled
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
RELAXED_SHARE = 0.3
"""Of the clock, what the search without segments may take."""
FAR_SHARE = 0.6
"""Of the clock that is left, what the search with as many segments as could pay may take."""
QUICK_SHARE = 0.15
"""Of the clock, what the search for a better plan to start from may take."""
FEW_VISITS, MOST_VISITS = 2, 16
"""Where no known plan keeps the limits: the visits that the search for a first one begins with, and at which it ends."""


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
class _Bound:
    """What minimum cuts say of plans better than the best one known: every one is in a case, and costs what it does there less `less`."""

    problem: Problem
    cases: tuple[Case, ...]
    less: float = 0.0

    @property
    def floor(self) -> float:
        return min((case.floor for case in self.cases), default=math.inf) - self.less

    def most_segments(self, upper: float) -> int:
        """The most segments on accelerators that a plan cheaper than `upper` can have."""
        left = upper + self.less - min((case.bound.best for case in self.cases), default=0.0)
        cheapest = min((self.problem.dispatch[d] for case in self.cases for d in case.accelerators), default=0.0)
        count = len(self.problem.units)
        return count if cheapest <= 0 else max(1, min(count, int(left / cheapest + 1e-9)))


def solve(problem: Problem, starts: Sequence[Sequence[int]], seconds: float = DETERMINISTIC_SECONDS) -> Solution | None:
    """The cheapest assignment. `starts` are known assignments (greedy, all on the host …). None if no assignment is possible, or none was
    found within the limits."""
    costs = scaled(problem)
    host_only = [problem.host] * len(problem.units)
    plans = [*starts, *([host_only] if all(unit.seconds[problem.host] is not None for unit in problem.units) else [])]
    best = in_one_form(problem, plans, best_of(problem, plans))
    cases = cases_of(costs, forced=False, host=host_varies(problem))
    best = best_of(problem, _improved(problem, from_cuts(problem, cases)), best)
    prices: tuple[float, ...] = ()
    if limited(problem):
        prices, tried = _prices(problem, cases, best)
        best = best_of(problem, tried, best)
    best = best or _first(problem, seconds)
    if best is None:
        return None
    kept, bounds = _reduced(problem, costs, prices, best.price.cost)
    if prices and all(bound.cases for bound in bounds):
        # plans known before the limits are often far from the best within them: a better one rules out more
        found = search(kept, (best.assignment, best.options), FEW_VISITS, seconds * QUICK_SHARE)
        best = best_of(problem, [found.assignment] if found.assignment else [], best, [found.options]) or best
        kept, bounds = _reduced(problem, costs, prices, best.price.cost)
    if any(not bound.cases for bound in bounds):
        return _solution(best, best.price.cost, True)
    if math.prod(sum(len(unit.on(d)) for d in unit.devices) for unit in kept.units) <= MAX_PRODUCT:
        best = _every(problem, kept, best)
        return _solution(best, best.price.cost, True)
    return _search(problem, kept, best, bounds, seconds)


def _solution(plan: Plan, bound: float, proven: bool, visits: int | None = None) -> Solution:
    return Solution(plan.assignment, plan.price, bound, proven, visits, plan.options if any(plan.options) else ())


def _improved(problem: Problem, plans: Iterable[list[int]]) -> Iterable[list[int]]:
    for plan in plans:
        yield plan
        yield improve(problem, plan)


def _prices(problem: Problem, cases: Sequence[Case], best: Plan | None) -> tuple[tuple[float, ...], list[list[int]]]:
    """Prices on the limits that bound what a plan costs, and the plans that follow the cuts with prices that were tried."""
    limits, plans = rows(problem), dict[tuple[int, ...], None]()
    floor = min((case.floor for case in cases), default=0.0)
    if not limits or not cases or not math.isfinite(floor):
        return (), []

    def value(prices: Sequence[float]) -> float:
        paid = priced(problem, limits, prices)
        tried = cases_of(paid.problem, forced=False, host=host_varies(problem))
        plans.update((tuple(plan), None) for plan in from_cuts(paid.problem, tried))
        return min(case.floor for case in tried) - paid.less

    found = best_prices(problem, limits, best.price.cost if best else floor, value)
    return (found if any(found) else ()), [list(plan) for plan in plans]


def _reduced(problem: Problem, costs: Problem, prices: Sequence[float], upper: float) -> tuple[Problem, list[_Bound]]:
    """The problem without devices that no better plan needs, and its bounds; one without cases proves that there is no better plan."""
    slack = upper * (1 - GAP)
    reduced, cases = reduce(costs, slack, host=host_varies(problem))
    kept, bounds = _narrowed(problem, reduced), [_Bound(reduced, tuple(cases))]
    if cases and prices:
        paid = priced(kept, rows(problem), prices)
        reduced, cases = reduce(paid.problem, slack + paid.less, host=host_varies(problem))
        kept = _narrowed(kept, reduced)
        bounds.append(_Bound(reduced, tuple(cases), paid.less))
    return kept, bounds


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
    relaxed = relaxed_search(problem, seconds * RELAXED_SHARE)
    if relaxed.infeasible:
        return None
    most, visits = min(MOST_VISITS, _allowed_segments(problem), 2 * len(problem.units)), FEW_VISITS
    left = seconds
    while left > 0:
        found = search(problem, None, min(visits, most), left)
        plan = best_of(problem, [found.assignment], None, [found.options]) if found.assignment else None
        if plan is not None or visits >= most:
            return plan
        left -= found.spent
        visits *= 2
    return None


def _search(problem: Problem, reduced: Problem, best: Plan, bounds: Sequence[_Bound], seconds: float) -> Solution:
    """Searches with few visits first, then with more while they could pay."""
    floor, left, base = max(bound.floor for bound in bounds), seconds, min(case.bound.best for case in bounds[0].cases)
    if limited(problem):
        relaxed = relaxed_search(reduced, seconds * RELAXED_SHARE, _most_visits(reduced, best.price.cost, bounds, base))
        floor, left = max(floor, relaxed.bound), seconds - relaxed.spent
        if relaxed.infeasible or floor >= best.price.cost * (1 - GAP):
            return _solution(best, best.price.cost, True)
        bare = relaxed_search(reduced, seconds * RELAXED_SHARE, _most_visits(reduced, best.price.cost, bounds, base), dispatched=False)
        base, left = max(base, bare.bound), left - bare.spent
    return _widened(problem, reduced, best, bounds, floor, base, left)


def _widened(problem: Problem, reduced: Problem, best: Plan, bounds: Sequence[_Bound], floor: float, base: float, left: float) -> Solution:
    """With limits, what few visits leave open is searched with as many as could pay, and where that does not end, with one more at a time:
    a plan with more segments than a proof covers costs at least `base` and their dispatches."""
    visits, covered, limits = MAX_VISITS, 0, limited(problem)
    while True:
        most = _most_visits(reduced, best.price.cost, bounds, base)
        allowed = min(visits, most)
        far = limits and allowed > max(covered + 1, MAX_VISITS)
        found = search(reduced, (best.assignment, best.options), allowed, left * FAR_SHARE if far else left)
        best = best_of(problem, [found.assignment] if found.assignment else [], best, [found.options]) or best
        left -= found.spent if limits else 0.0
        covered = allowed if found.proven else covered
        known = found.bound if found.assignment else best.price.cost if found.proven else 0.0
        floor = max(floor, min(known, base + (allowed + 1) * _cheapest_dispatch(reduced)), known if allowed >= most else 0.0)
        if found.proven and allowed >= _most_visits(reduced, best.price.cost, bounds, base):
            return _solution(best, best.price.cost, True)
        exhausted = not found.assignment or _exhausted(best.price, allowed)
        if found.proven and (left <= 0 or (not exhausted and not limits and len(reduced.units) * allowed > SMALL)):
            # a plan with more segments could still be better in theory; the proof then says how many it covers
            return _solution(best, min(floor, best.price.cost), True, allowed)
        if not found.proven and not (far and left > 0):
            return _solution(best, min(floor, best.price.cost), False)
        visits = covered + 1 if not found.proven else most if limits and allowed <= MAX_VISITS else visits + 1 if limits else visits * 2


def _most_visits(problem: Problem, upper: float, bounds: Sequence[_Bound], base: float) -> int:
    """The most segments on accelerators that a plan cheaper than `upper` can have, and the limits allow. `base`: what a plan costs at least
    without its dispatches."""
    cheapest = _cheapest_dispatch(problem)
    pays = int((upper - base) / cheapest + 1e-9) if cheapest > 0 else len(problem.units)
    return max(1, min(_allowed_segments(problem), pays, *(bound.most_segments(upper) for bound in bounds), len(problem.units)))


def _cheapest_dispatch(problem: Problem) -> float:
    """Of an accelerator, in terms of the objective."""
    return min((problem.dispatch[d] * problem.aim.busy[d] for d in used_devices(problem) if d != problem.host), default=0.0)


def _allowed_segments(problem: Problem) -> int:
    """The most segments on accelerators that the limits allow."""
    limits = [problem.piece_limit(device) for device in used_devices(problem) if device != problem.host]
    each = sum(len(problem.units) if limit is None else limit for limit in limits)
    return max(1, each if problem.most_in_all is None else min(each, problem.most_in_all))


def _exhausted(found: Price, visits: int) -> bool:
    counts: dict[int, int] = {}
    for piece in found.pieces:
        counts[piece.device] = counts.get(piece.device, 0) + 1
    return max(counts.values(), default=0) >= visits
