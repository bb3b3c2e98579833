"""The exact choice of a device for every unit: bound it by minimum cuts, fix what the bound decides, search the rest.

A plan that uses an accelerator costs at least its relaxed cut (`lower_bound.py`) and one dispatch. Against the best plan known that
rules out single choices (reduced-cost fixing) and limits how many segments a better plan can have; what is left goes to
CP-SAT (`stage_model.py`), warm-started with the best plan known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .lower_bound import CutBound, cut_bound
from .placement import Price, Problem, Unit, price
from .stage_model import search, used_devices

MAX_VISITS = 3
"""Visits of each device the first search allows; doubled while a solution uses them all and more could pay."""
DETERMINISTIC_SECONDS = 1.0
"""CP-SAT's own deterministic clock, so that two machines stop at the same point."""
SMALL = 200
"""Units times visits below which the search goes on until the proof covers every number of segments."""
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


def solve(problem: Problem, starts: Sequence[Sequence[int]], seconds: float = DETERMINISTIC_SECONDS) -> Solution | None:
    """The cheapest assignment. `starts` are known assignments (greedy, all on the host …). None if no assignment is possible."""
    accelerators = [d for d in used_devices(problem) if d != problem.host]
    bound = cut_bound(problem, accelerators, forced=len(problem.units) <= MAX_FORCED)
    best = _best(problem, [*starts, *_from_cuts(problem, accelerators, bound)])
    if best is None:
        found = search(problem, None, max(MAX_VISITS, 1), seconds)
        best = _best(problem, [found.assignment]) if found is not None else None
        if best is None:
            return None
    floor = bound.best + min((problem.dispatch[d] for d in accelerators), default=problem.dispatch[problem.host])
    reduced = replace(problem, units=tuple(_fixed(problem, k, bound, best.price.total) for k in range(len(problem.units))))
    if best.price.total <= floor or not any(d != problem.host for unit in reduced.units for d in unit.devices):
        return Solution(best.assignment, best.price, best.price.total, True)
    return _search(problem, reduced, best, bound.best, floor, seconds)


def _search(problem: Problem, reduced: Problem, best: _Plan, relaxed: float, floor: float, seconds: float) -> Solution:
    """Searches with few visits first, then with more while they could pay."""
    visits = MAX_VISITS
    while True:
        most = _most_visits(reduced, best.price.total, relaxed)
        allowed = min(visits, most)
        found = search(reduced, best.assignment, allowed, seconds)
        if found is None or not found.proven:
            best = _best(problem, [best.assignment, *([found.assignment] if found else [])]) or best
            bound = floor if found is None or allowed < most else max(floor, found.bound)
            return Solution(best.assignment, best.price, min(bound, best.price.total), False)
        best = _best(problem, [best.assignment, found.assignment]) or best
        if allowed >= _most_visits(reduced, best.price.total, relaxed):
            return Solution(best.assignment, best.price, best.price.total, True)
        if not _exhausted(best.price, allowed) and len(reduced.units) * allowed > SMALL:
            # a plan with more segments could still be better in theory; the proof then says how many it covers
            return Solution(best.assignment, best.price, min(floor, best.price.total), True, allowed)
        visits *= 2


def _best(problem: Problem, assignments: Iterable[Sequence[int]]) -> _Plan | None:
    plans = [_Plan(tuple(a), p) for a in dict.fromkeys(tuple(a) for a in assignments) if (p := price(problem, a)) is not None]
    return min(plans, key=lambda plan: plan.price.total, default=None)


def _from_cuts(problem: Problem, accelerators: Sequence[int], bound: CutBound) -> Iterable[list[int]]:
    """Plans that follow the minimum cuts, over all accelerators and over each alone, improved by moving whole segments."""
    cuts = [bound.sides, *(cut_bound(problem, [d], forced=False).sides for d in accelerators if len(accelerators) > 1)]
    for sides, allowed in zip(cuts, [accelerators, *([d] for d in accelerators)], strict=False):
        if not sides:
            continue
        plan = [_fastest(unit, allowed) if away else problem.host for unit, away in zip(problem.units, sides, strict=True)]
        yield plan
        yield improve(problem, plan)


def _fastest(unit: Unit, devices: Sequence[int]) -> int:
    return min((d for d in devices if unit.seconds[d] is not None), key=lambda d: (unit.seconds[d] or 0.0, d))


def _fixed(problem: Problem, k: int, bound: CutBound, upper: float) -> Unit:
    """The unit without the devices that no plan cheaper than `upper` can choose for it. A plan that uses no accelerator at all is
    the one on the host alone, which is among the plans known."""
    unit = problem.units[k]
    away = [s for d, s in enumerate(unit.seconds) if s is not None and d != problem.host]
    cheapest = min((problem.dispatch[d] for d in used_devices(problem) if d != problem.host), default=0.0)
    slack = upper * (1 + 1e-9) + 1e-12

    def keeps(device: int, seconds: float) -> bool:
        if device == problem.host:
            return bound.forced_host[k] + cheapest <= slack
        return bound.forced_accelerator[k] + seconds - min(away) + max(problem.dispatch[device], cheapest) <= slack

    kept = tuple(s if s is not None and keeps(d, s) else None for d, s in enumerate(unit.seconds))
    return replace(unit, seconds=kept) if any(s is not None for s in kept) else unit


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
    """Descent over whole segments: move a segment to another device while that makes the plan cheaper."""
    best = list(assignment)
    current = price(problem, best)
    while current is not None:
        moves = [_moved(problem, best, piece.units, d) for piece in current.pieces for d in range(len(problem.devices))]
        better = _best(problem, [best, *moves])
        if better is None or better.price.total >= current.total * (1 - 1e-9):
            return best
        best, current = list(better.assignment), better.price
    return best


def _moved(problem: Problem, assignment: Sequence[int], units: Sequence[int], device: int) -> list[int]:
    moved = list(assignment)
    for unit in units:
        if problem.units[unit].seconds[device] is not None:
            moved[unit] = device
    return moved
