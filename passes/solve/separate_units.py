"""Sets of units that no segment can join: between two of them lies an operator that only the host runs.

Along a path of host-only units h1 -> h2 -> ... a segment that holds a unit before h2 and one after it would not be convex. So every set
between two neighbours on the path that is used by an accelerator costs a dispatch of its own, which makes the bound on a placement
that is full of islands tight.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .problem import Problem


def separate_units(problem: Problem, accelerators: Collection[int]) -> list[list[int]]:
    """Disjoint sets of units that one of `accelerators` can run; units of two sets are never in one segment of an accelerator."""
    able = [any(unit.seconds[d] is not None for d in accelerators) for unit in problem.units]
    chain = _longest_chain(problem.predecessors, able)
    position = {unit: k for k, unit in enumerate(chain)}
    after = _last_before(problem.predecessors, position)
    before = _first_behind(problem.predecessors, position, len(chain))
    sets: list[list[int]] = [[] for _ in range(len(chain) + 1)]
    for unit, free in enumerate(able):
        if free and before[unit] == after[unit] + 1:
            sets[before[unit]].append(unit)
    return [members for members in sets if members]


def _longest_chain(predecessors: Sequence[Sequence[int]], able: Sequence[bool]) -> list[int]:
    """The most host-only units on one path, in order."""
    length = [0] * len(able)
    previous = [-1] * len(able)
    for unit, free in enumerate(able):
        for p in predecessors[unit]:
            if length[p] > length[unit] or previous[unit] < 0:
                length[unit], previous[unit] = length[p], p
        length[unit] += not free
    chain: list[int] = []
    at = max(range(len(able)), key=lambda unit: length[unit], default=-1)
    while at >= 0:
        if not able[at]:
            chain.append(at)
        at = previous[at]
    return chain[::-1]


def _last_before(predecessors: Sequence[Sequence[int]], position: dict[int, int]) -> list[int]:
    """Per unit the last place on the chain that comes before it; -1 if none does."""
    found: list[int] = []
    for needs in predecessors:
        found.append(max((max(found[p], position.get(p, -1)) for p in needs), default=-1))
    return found


def _first_behind(predecessors: Sequence[Sequence[int]], position: dict[int, int], end: int) -> list[int]:
    """Per unit the first place on the chain that comes after it; `end` if none does."""
    found = [end] * len(predecessors)
    for unit in range(len(predecessors) - 1, -1, -1):
        here = min(found[unit], position.get(unit, end))
        for p in predecessors[unit]:
            found[p] = min(found[p], here)
    return found
