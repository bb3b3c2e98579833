"""Depth-first search for offsets within a capacity: place the lowest buffer, or postpone it.

Of every buffer is known the lowest offset it may still have, and whether it must rest on one that is not placed yet. The search takes the
unplaced buffer with the lowest such offset. Either it lies there, and all that live with it lie above it; or it does not, and then it
rests on an unplaced one. Both cases together hold every plan in which each buffer rests on another or on the bottom, each plan once.
The sections say where neither case can lead to a plan:

    latest(s) = capacity - bytes unplaced in s        the lowest unplaced buffer of s starts at or below it
    a buffer that cannot start there is not the lowest, so it rests on, or above, one that can

Sections, the fixed order of branching and the split into parts follow minimalloc (Moffitt, ASPLOS 2023).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum, auto

from .sections import Problem

PLACING = 20
"""What one decision costs beside the members it looks at, in visits."""


class Verdict(Enum):
    FOUND = auto()
    IMPOSSIBLE = auto()
    """Proven: no plan keeps the capacity."""
    STOPPED = auto()


class _Stopped(Exception):
    """The allowance is used up."""


class DepthFirst:
    """One search of a problem in one order of preference; `run` may be called once."""

    def __init__(self, problem: Problem, limit: int, order: Sequence[int], highest: Sequence[int], near: Sequence[Sequence[int]]) -> None:
        """`limit`: capacity in bytes. `order`: the buffers, preferred ones first. `highest`: `problem.highest(limit)`. `near`: by buffer,
        those that live with it. Inside, a buffer's number is its position in `order`, so that the smallest number breaks a tie."""
        rank = [0] * len(order)
        for position, i in enumerate(order):
            rank[i] = position
        self._order = order
        self._capacity = problem.capacity(limit)
        self._highest = [highest[i] for i in order]
        self._size = [problem.sizes[i] for i in order]
        self._align = [problem.aligns[i] for i in order]
        self._sections = [range(problem.first[i], problem.last[i] + 1) for i in order]
        self._near = [[rank[j] for j in near[i]] for i in order]
        self._members = [[rank[i] for i in live] for live in problem.members]
        self._unplaced = [sum(problem.sizes[i] for i in live) for live in problem.members]
        self._crossing = _crossing(problem)
        self._lowest = [0] * len(order)
        self._rests = [False] * len(order)
        self._placed = [False] * len(order)
        self._trail: list[tuple[int, int, bool]] = []
        self._dirty = set(range(len(problem.members)))
        self._nodes = self._work = 0
        self.work = 0
        """Member visits so far."""

    def run(self, nodes: int, work: int) -> Verdict:
        """Searches until a plan is found, none can be, or so many placements or visits are made."""
        self._nodes, self._work = nodes, work
        if min(self._highest) < 0:
            return Verdict.IMPOSSIBLE
        try:
            found = all(map(self._solve, self._parts(list(range(len(self._order))))))
        except _Stopped:
            return Verdict.STOPPED
        return Verdict.FOUND if found else Verdict.IMPOSSIBLE

    def offsets(self) -> list[int]:
        """The plan that was found: offsets in units, in the problem's order of buffers."""
        units = [0] * len(self._order)
        for position, i in enumerate(self._order):
            units[i] = self._lowest[position]
        return units

    def _solve(self, part: list[int]) -> bool:
        """Whether the unplaced buffers of `part`, which no other unplaced one lives with, can be placed; if so they are."""
        choices: list[tuple[int, int, list[int]]] = []
        lowest, rests = self._lowest.__getitem__, self._rests
        alive = self._propagate()
        while True:
            if alive:
                if not part:
                    return True
                self.work += len(part)
                j = min(part, key=lowest)
                if rests[j]:
                    alive = self._postpone(j)
                    continue
                choices.append((len(self._trail), j, part))
                part = part.copy()
                part.remove(j)
                alive, apart = self._place(j)
                if alive and apart and part:
                    *small, part = self._parts(part)
                    alive = all(map(self._solve, small))
                continue
            self._dirty.clear()
            if not choices:
                return False
            mark, j, part = choices.pop()
            self._undo(mark)
            alive = self._postpone(j)

    def _place(self, j: int) -> tuple[bool, bool]:
        """Puts j at its lowest offset. Returns whether a plan is still possible, and whether the unplaced may have come apart."""
        self._nodes -= 1
        self.work += PLACING + len(self._near[j])
        if self._nodes < 0 or self.work > self._work:
            raise _Stopped
        top, size, sections = self._lowest[j] + self._size[j], self._size[j], self._sections[j]
        self._trail.append((~j, 0, False))
        self._placed[j] = True
        apart = False
        for s in sections:
            self._members[s].remove(j)
            self._unplaced[s] -= size
        for s in sections[:-1]:
            self._crossing[s] -= 1
            apart = apart or not self._crossing[s]
        self._dirty.update(sections)
        lowest, placed, align = self._lowest, self._placed, self._align
        for i in self._near[j]:
            if not placed[i]:
                above = -(-top // align[i]) * align[i]
                # at equality too: what i rests on may now be j
                if above >= lowest[i] and (above > lowest[i] or self._rests[i]) and not self._raise(i, above, False):
                    return False, False
        return self._propagate(), apart

    def _postpone(self, j: int) -> bool:
        """Lets j rest on one that is not placed yet, and sees what follows; False where no plan is left."""
        lowest, placed, size = self._lowest, self._placed, self._size
        self.work += len(self._near[j])
        tops = [lowest[i] + size[i] for i in self._near[j] if not placed[i]]
        if not tops:
            return False
        return self._raise(j, -(-min(tops) // self._align[j]) * self._align[j], True) and self._propagate()

    def _raise(self, i: int, offset: int, rests: bool) -> bool:
        self._trail.append((i, self._lowest[i], self._rests[i]))
        self._lowest[i], self._rests[i] = offset, rests
        self._dirty.update(self._sections[i])
        return offset <= self._highest[i]

    def _propagate(self) -> bool:
        dirty = self._dirty
        while dirty:
            if not self._check(dirty.pop()):
                return False
        return True

    def _check(self, s: int) -> bool:
        """Raises what cannot be the lowest of section s; False where nothing can."""
        members = self._members[s]
        if not members:
            return True
        self.work += len(members)
        latest = self._capacity - self._unplaced[s]
        starts = [*map(self._lowest.__getitem__, members)]
        if max(starts) <= latest:
            return True
        size = self._size
        tops = [start + size[i] for i, start in zip(members, starts, strict=True) if start <= latest]
        if not tops:
            return False
        self.work += 3 * len(members)
        return self._lift(members, latest, min(tops)) and self._fits(members)

    def _lift(self, members: Sequence[int], latest: int, floor: int) -> bool:
        """Raises those that start after `latest` to `floor`, where they rest on an unplaced one."""
        lowest, align = self._lowest, self._align
        for i in members:
            if latest < lowest[i] < floor and not self._raise(i, -(-floor // align[i]) * align[i], True):
                return False
        return True

    def _fits(self, members: Sequence[int]) -> bool:
        """Whether the members, stacked in the order of their lowest offsets, end within the capacity: no stack ends lower."""
        lowest, size = self._lowest, self._size
        end = 0
        for start, i in sorted(zip(map(lowest.__getitem__, members), members, strict=True)):
            end = (start if start > end else end) + size[i]
        return end <= self._capacity

    def _parts(self, part: list[int]) -> list[list[int]]:
        """The unplaced buffers of `part` by what lives together, fewest first; each in the order of `part`."""
        self.work += 2 * len(part)
        group: dict[int, list[int]] = {}
        starts: list[int] = []
        end = -1
        for i in sorted(part, key=lambda i: self._sections[i].start):
            sections = self._sections[i]
            if sections.start > end:
                starts.append(sections.start)
            end = max(end, sections.stop - 1)
        for i in part:
            group.setdefault(bisect_right(starts, self._sections[i].start), []).append(i)
        return sorted(group.values(), key=len)

    def _undo(self, mark: int) -> None:
        """Takes back everything since the trail was `mark` long, the placements of parts already solved included."""
        trail = self._trail
        while len(trail) > mark:
            i, start, rests = trail.pop()
            if i >= 0:
                self._lowest[i], self._rests[i] = start, rests
                continue
            j = ~i
            self._placed[j] = False
            sections = self._sections[j]
            for s in sections:
                self._members[s].append(j)
                self._unplaced[s] += self._size[j]
            for s in sections[:-1]:
                self._crossing[s] += 1


def _crossing(problem: Problem) -> list[int]:
    """By section, how many buffers live on in the next one."""
    crossing = [0] * len(problem.members)
    for first, last in zip(problem.first, problem.last, strict=True):
        for s in range(first, last):
            crossing[s] += 1
    return crossing
