"""All plans of a problem without limits in cases, by the accelerators they use: what each case costs at least, and choices no case needs.

A plan that uses an accelerator costs at least its relaxed cut (`lower_bound.py`) and one dispatch. Against the best known that rules
out single choices (reduced-cost fixing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from .lower_bound import CutBound, cut_bound
from .problem import Problem, Unit
from .separate_units import separate_units
from .stage_model import used_devices

MAX_SETS = 3
"""Accelerators up to which every set of them is a case of its own."""
ROUNDS = 3
MAX_FORCED = 200
"""Units up to which the bound of every single choice is computed: one minimum cut each."""


@dataclass(frozen=True, slots=True)
class Case:
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


def host_varies(problem: Problem) -> bool:
    """Whether the host alone has several plans: an operator of it may run in several ways."""
    return any(len(unit.on(problem.host)) > 1 for unit in problem.units)


def cases_of(problem: Problem, forced: bool, alive: Sequence[tuple[int, ...]] | None = None, *, host: bool) -> list[Case]:
    """One case per set of accelerators (of single ones and all, where there are too many sets). host: and one for plans on the host alone,
    which are known where there is one (`host_varies`)."""
    accelerators = [d for d in used_devices(problem) if d != problem.host]
    sizes = range(1, len(accelerators) + 1) if len(accelerators) <= MAX_SETS else (1, len(accelerators))
    sets = [*([()] if host else []), *(chosen for size in sizes for chosen in combinations(accelerators, size))]
    kept = [chosen for chosen in sets if alive is None or any(set(chosen) <= set(other) for other in alive)]
    return [_case(problem, chosen, forced, len(accelerators)) for chosen in kept]


def _case(problem: Problem, chosen: tuple[int, ...], forced: bool, count: int) -> Case:
    bound, dispatch = cut_bound(problem, chosen, forced), _least_dispatch(problem, chosen, count)
    if not chosen:
        return Case(chosen, bound, dispatch)
    cheapest, once = min(problem.dispatch[d] for d in chosen), 1 if count > MAX_SETS else len(chosen)
    sets = separate_units(problem, chosen)
    if len(sets) <= once or cheapest <= 0:
        return Case(chosen, bound, dispatch)
    # n segments, and each accelerator at least once: dispatch + (n - once) * cheapest
    return Case(chosen, bound, dispatch, cut_bound(problem, chosen, forced, sets, cheapest), dispatch - once * cheapest)


def _least_dispatch(problem: Problem, chosen: Sequence[int], count: int) -> float:
    """Every accelerator of the set is used; of a set that stands for many sets, at least one."""
    if count > MAX_SETS and len(chosen) > 1:
        return min(problem.dispatch[d] for d in chosen)
    return sum(problem.dispatch[d] for d in chosen)


def reduce(problem: Problem, slack: float, *, host: bool) -> tuple[Problem, list[Case]]:
    """The problem without choices that no plan cheaper than `slack` contains, and the cases that are still open; bounds get tighter
    as choices go, so it is repeated a few times. host: as for `cases_of`."""
    cases = [case for case in cases_of(problem, forced=False, host=host) if case.floor < slack]
    for _ in range(ROUNDS if len(problem.units) <= MAX_FORCED else 0):
        if not cases:
            break
        cases = cases_of(problem, True, [case.accelerators for case in cases], host=host)
        cases = [case for case in cases if case.floor < slack]
        units = tuple(_fixed(problem, k, cases, slack) for k in range(len(problem.units)))
        if units == problem.units:
            break
        problem = replace(problem, units=units)
    return problem, cases


def _fixed(problem: Problem, k: int, cases: Sequence[Case], slack: float) -> Unit:
    """The unit without the devices that every open case rules out for it."""
    unit = problem.units[k]

    def least(case: Case, device: int, seconds: float) -> float:
        if device == problem.host:
            return case.forced_host(k)
        if device not in case.accelerators:
            return float("inf")
        fastest = min(s for d in case.accelerators if (s := unit.seconds[d]) is not None)
        return case.forced_accelerator(k) + seconds - fastest

    kept = tuple(s if s is not None and any(least(c, d, s) < slack for c in cases) else None for d, s in enumerate(unit.seconds))
    return replace(unit, seconds=kept) if any(s is not None for s in kept) else unit


def from_cuts(problem: Problem, cases: Sequence[Case]) -> Iterator[list[int]]:
    """Plans that follow the minimum cuts."""
    for case in cases:
        for bound in (case.bound, case.apart):
            if bound is not None and bound.sides:
                units = zip(problem.units, bound.sides, strict=True)
                yield [_fastest(unit, case.accelerators) if away else problem.host for unit, away in units]


def _fastest(unit: Unit, devices: Sequence[int]) -> int:
    return min((d for d in devices if unit.seconds[d] is not None), key=lambda d: (unit.seconds[d] or 0.0, d))
