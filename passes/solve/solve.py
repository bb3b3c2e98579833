"""The exact choice of a device for every unit: bound it by minimum cuts, fix what the bound decides, search the rest.

A plan that uses an accelerator costs at least its relaxed cut (`lower_bound.py`) and one dispatch. Against the best plan known that
rules out single choices (reduced-cost fixing) and limits how many segments a better plan can have; what is left goes to
CP-SAT (`stage_model.py`), warm-started with the best plan known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from .lower_bound import CutBound, cut_bound
from .problem import Price, Problem, Unit, price
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
MAX_MOVES, MIN_MOVES, MAX_MOVED = 100, 10, 20_000
"""Plans tried in one descent: fewer where there are many units, so that about MAX_MOVED units are priced."""
MAX_FORCED = 200
"""Units up to which the bound of every single choice is computed: one minimum cut each."""


@dataclass(frozen=True, slots=True)
class Solution:
    """An assignment with its exact price, and what was proved about it."""

    assignment: tuple[int, ...]
    price: Price
    lower_bound: float
    """Seconds no assignment of this problem can beat."""
    proven: bool
    """Whether the assignment is optimal, among the plans `visits` allows."""
    visits: int | None = None
    """The most segments per device among which the proof holds; None: among all plans."""

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, 0 for a proven optimum."""
        return 0.0 if self.proven or self.price.total == 0 else max(0.0, 1 - self.lower_bound / self.price.total)


@dataclass(frozen=True, slots=True)
class _Plan:
    assignment: tuple[int, ...]
    price: Price


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
    """The cheapest assignment. `starts` are known assignments (greedy, all on the host …). None if no assignment is possible."""
    host_only = [problem.host] * len(problem.units)
    best = _best(problem, [*starts, *([host_only] if all(unit.seconds[problem.host] is not None for unit in problem.units) else [])])
    cases = _cases(problem, forced=False)
    best = _best(problem, [*([best.assignment] if best else []), *_from_cuts(problem, cases)])
    if best is None:
        found = search(problem, None, MAX_VISITS, seconds)
        best = _best(problem, [found.assignment]) if found is not None else None
        if best is None:
            return None
    reduced, cases = _reduce(problem, best.price.total)
    if not cases:
        return Solution(best.assignment, best.price, best.price.total, True)
    if math.prod(len(unit.devices) for unit in reduced.units) <= MAX_PRODUCT:
        best = _best(problem, [best.assignment, *product(*(unit.devices for unit in reduced.units))]) or best
        return Solution(best.assignment, best.price, best.price.total, True)
    return _search(problem, reduced, best, cases, seconds)


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


def _search(problem: Problem, reduced: Problem, best: _Plan, cases: Sequence[_Case], seconds: float) -> Solution:
    """Searches with few visits first, then with more while they could pay."""
    floor, relaxed = min(case.floor for case in cases), min(case.bound.best for case in cases)
    visits = MAX_VISITS
    while True:
        most = _most_visits(reduced, best.price.total, relaxed)
        allowed = min(visits, most)
        found = search(reduced, best.assignment, allowed, seconds)
        best = _best(problem, [best.assignment, *([found.assignment] if found else [])]) or best
        if found is None or not found.proven:
            bound = floor if found is None or allowed < most else max(floor, found.bound)
            return Solution(best.assignment, best.price, min(bound, best.price.total), False)
        if allowed >= _most_visits(reduced, best.price.total, relaxed):
            return Solution(best.assignment, best.price, best.price.total, True)
        if not _exhausted(best.price, allowed) and len(reduced.units) * allowed > SMALL:
            # a plan with more segments could still be better in theory; the proof then says how many it covers
            return Solution(best.assignment, best.price, min(floor, best.price.total), True, allowed)
        visits *= 2


def _best(problem: Problem, assignments: Iterable[Sequence[int]]) -> _Plan | None:
    plans = [_Plan(tuple(a), p) for a in dict.fromkeys(tuple(a) for a in assignments) if (p := price(problem, a)) is not None]
    return min(plans, key=lambda plan: plan.price.total, default=None)


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
            dispatch = problem.dispatch[device]
            most = max(most, len(problem.units) if dispatch <= 0 else int((upper - relaxed) / dispatch + 1e-9))
    return min(most, len(problem.units))


def _exhausted(found: Price, visits: int) -> bool:
    counts: dict[int, int] = {}
    for piece in found.pieces:
        counts[piece.device] = counts.get(piece.device, 0) + 1
    return max(counts.values(), default=0) >= visits


def improve(problem: Problem, assignment: Sequence[int]) -> list[int]:
    """Descent over whole segments, smallest first: move a segment to another device where that makes the plan cheaper."""
    best = _best(problem, [assignment])
    tried, most = 0, min(MAX_MOVES, max(MIN_MOVES, MAX_MOVED // len(problem.units)))
    while best is not None:
        better = None
        for piece in sorted(best.price.pieces, key=lambda piece: len(piece.units)):
            moves = (_moved(problem, best.assignment, piece.units, d) for d in range(len(problem.devices)) if d != piece.device)
            better = _best(problem, [best.assignment, *moves])
            tried += len(problem.devices) - 1
            if tried > most or (better is not None and better.price.total < best.price.total * (1 - 1e-9)):
                break
        if better is None or tried > most or better.price.total >= best.price.total * (1 - 1e-9):
            return list((better or best).assignment)
        best = better
    return list(assignment)


def _moved(problem: Problem, assignment: Sequence[int], units: Sequence[int], device: int) -> list[int]:
    moved = list(assignment)
    for unit in units:
        if problem.units[unit].seconds[device] is not None:
            moved[unit] = device
    return moved
