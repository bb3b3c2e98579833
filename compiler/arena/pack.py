"""Offsets in one arena for buffers with lifetimes. Knows bytes and steps, not ONNX.

    minimise  total = max over buffers of offset + size
    so that   offset is a multiple of align, and two buffers live at the same step share no byte

A portfolio of greedy orders comes first (real graphs are solved by one of them); while a gap to the lower bound remains, a hill-climb
over placement orders follows. Work is counted in buffers looked at, never in seconds, so equal input gives equal offsets everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .buffer import Buffer
from .crowd import CROWD, by_birth, pairs

WORK_PER_EFFORT = 120_000
"""Neighbour visits that one unit of effort may cost: about 15 ms."""
PLACING = 16
"""What placing one buffer costs beside looking at its neighbours, in visits."""


@dataclass(frozen=True, slots=True)
class Plan:
    offsets: Mapping[str, int]
    total: int
    """Bytes from offset 0 to the end of the highest buffer."""
    lower_bound: int
    """Largest sum of sizes live at one step, holes that alignment forces included: no plan is smaller."""
    page: int

    @property
    def mapped(self) -> int:
        """Bytes that a process maps: `total` in whole pages."""
        return -(-self.total // self.page) * self.page


def plan(buffers: Sequence[Buffer], *, page: int = 4096, effort: int = 1) -> Plan:
    """The smallest plan found within `effort`: 0 stops after the greedy orders, each unit above allows about 15 ms of search.

    Raises ValueError for two buffers of one name, a size or alignment below 1, or a lifetime that ends before it begins.
    """
    _check(buffers)
    bound = lower_bound(buffers)
    if pairs(buffers) > CROWD:
        offsets = by_birth(buffers)
        height = max(o + b.bytes for o, b in zip(offsets, buffers, strict=True))
        return Plan({b.name: o for b, o in zip(buffers, offsets, strict=True)}, height, bound, page)
    packer = _Packer(buffers)
    best, offsets, height = packer.portfolio(bound, max(effort, 1) * WORK_PER_EFFORT // 2)
    if height > bound and effort > 0:
        offsets, height = packer.climb(best, offsets, height, bound, effort * WORK_PER_EFFORT - packer.work)
    return Plan({b.name: o for b, o in zip(buffers, offsets, strict=True)}, height, bound, page)


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Largest sum of sizes live at one step, or more where alignment leaves holes that nothing can fill.

    Buffers whose alignments are all multiples of A share no A-sized cell, so together they take whole cells, but for the end of the last.
    """
    best = _peak([(*b.lifetime, b.bytes) for b in buffers])
    for cell in sorted({b.align for b in buffers} - {1}):
        coarse = [(*b.lifetime, -(-b.bytes // cell) * cell, b.bytes) for b in buffers if b.align % cell == 0]
        unused = max(whole - size for _, _, whole, size in coarse)
        best = max(best, _peak([(first, last, whole) for first, last, whole, _ in coarse]) - unused)
    return best


def _peak(lives: Sequence[tuple[int, int, int]]) -> int:
    """Largest sum of sizes over (first, last, size) live at one step."""
    changes = sorted([(first, size) for first, _, size in lives] + [(last + 1, -size) for _, last, size in lives])
    live = peak = 0
    for _, change in changes:  # at one step, what dies (negative) sorts before what is born
        live += change
        peak = max(peak, live)
    return peak


def _check(buffers: Sequence[Buffer]) -> None:
    names: set[str] = set()
    for b in buffers:
        if b.name in names:
            raise ValueError(f"two buffers named {b.name!r}")
        if b.bytes < 1 or b.align < 1:
            raise ValueError(f"buffer {b.name!r}: size {b.bytes} and alignment {b.align} must be at least 1")
        first, last = b.lifetime
        if first > last:
            raise ValueError(f"buffer {b.name!r}: dies at step {last} before it is born at step {first}")
        names.add(b.name)


def overlapping(buffers: Sequence[Buffer]) -> list[list[int]]:
    """Per buffer the positions of the others that are live at one step with it."""
    neighbours: list[list[int]] = [[] for _ in buffers]
    live: list[int] = []
    lives = [b.lifetime for b in buffers]
    for i in sorted(range(len(buffers)), key=lambda i: lives[i][0]):
        live = [j for j in live if lives[j][1] >= lives[i][0]]
        for j in live:
            neighbours[i].append(j)
            neighbours[j].append(i)
        live.append(i)
    return neighbours


class _Packer:
    """Places buffers in a given order, each at the lowest (or tightest) gap that its neighbours leave; counts its own work."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.lives = [b.lifetime for b in buffers]
        self.sizes = [b.bytes for b in buffers]
        self.aligns = [b.align for b in buffers]
        self.neighbours = overlapping(buffers)
        self.work = 0

    def orders(self) -> Iterator[tuple[list[int], bool]]:
        """(greedy order, whether to take the tightest gap), the one that usually wins first; the position breaks ties."""
        size = self.sizes
        span = [last - first + 1 for first, last in self.lives]
        crowd = [size[i] + sum(size[j] for j in near) for i, near in enumerate(self.neighbours)]
        everyone = range(len(size))
        by_size = sorted(everyone, key=lambda i: (-size[i], -span[i], i))
        by_area = sorted(everyone, key=lambda i: (-size[i] * span[i], -size[i], i))
        by_crowd = sorted(everyone, key=lambda i: (-crowd[i], -size[i], i))
        yield by_size, False
        yield by_area, False
        yield sorted(everyone, key=lambda i: (self.lives[i][0], -size[i], i)), False
        yield by_crowd, False
        yield sorted(everyone, key=lambda i: (-self.lives[i][1], -size[i], i)), False
        yield sorted(everyone, key=lambda i: (-span[i], -size[i], i)), False
        yield by_size, True
        yield by_crowd, True
        yield by_area, True

    def portfolio(self, bound: int, allowed: int) -> tuple[list[int], list[int], int]:
        """(order, offsets, height) of the best greedy rule; the first two always run, further ones while work is left."""
        best: tuple[list[int], list[int], int] = ([], [], 0)
        for number, (order, tight) in enumerate(self.orders()):
            if number > 1 and self.work > allowed:
                break
            offsets = self.place(order, [-1] * len(order), tight=tight)
            height = self.height(offsets)
            if not best[0] or height < best[2]:
                best = (order, offsets, height)
            if best[2] <= bound:
                break
        return best

    def place(self, order: Sequence[int], offsets: list[int], *, tight: bool = False) -> list[int]:
        """Fill `offsets` (-1: not placed yet) for the buffers of `order`, in that order."""
        for i in order:
            near = [j for j in self.neighbours[i] if offsets[j] >= 0]
            self.work += len(self.neighbours[i]) + PLACING
            offsets[i] = self._gap(i, sorted((offsets[j], offsets[j] + self.sizes[j]) for j in near), tight)
        return offsets

    def _gap(self, i: int, taken: Sequence[tuple[int, int]], tight: bool) -> int:
        size, align = self.sizes[i], self.aligns[i]
        cursor, found, slack = 0, -1, 0
        for start, end in taken:
            room = start - cursor - size
            if room >= 0:
                if not tight:
                    return cursor
                if found < 0 or room < slack:
                    found, slack = cursor, room
            if end > cursor:
                cursor = -(-end // align) * align
        return found if found >= 0 else cursor

    def height(self, offsets: Sequence[int]) -> int:
        return max((o + s for o, s in zip(offsets, self.sizes, strict=True)), default=0)

    def climb(self, order: list[int], offsets: list[int], height: int, bound: int, allowed: int) -> tuple[list[int], int]:
        """Move a buffer that reaches the top to an earlier place in the order, or swap it with one it overlaps; keep what is not worse.

        `offsets` may come from a tight placement that first-fit does not repeat, so the best seen is kept apart from the walk.
        """
        dice = random.Random(len(order))
        walk = self.place(order, [-1] * len(order))
        level = self.height(walk)
        if level < height:
            offsets, height = walk, level
        stop = self.work + allowed
        while level > bound and self.work < stop:
            changed, start = self._neighbour(order, walk, level, dice)
            trial = list(walk)
            for i in changed[start:]:
                trial[i] = -1
            trial = self.place(changed[start:], trial)
            reached = self.height(trial)
            self.work += len(order) // 2  # a step's own bookkeeping, which counts when few buffers move
            if reached <= level:
                order, walk, level = changed, trial, reached
            if reached < height:
                offsets, height = trial, reached
        return offsets, height

    def _neighbour(self, order: list[int], offsets: Sequence[int], level: int, dice: random.Random) -> tuple[list[int], int]:
        """A changed order and the first position at which it differs."""
        top = dice.choice([i for i in order if offsets[i] + self.sizes[i] == level])
        place = order.index(top)
        changed = list(order)
        near = self.neighbours[top]
        if near and dice.random() < 0.5:
            other = order.index(dice.choice(near))
            changed[place], changed[other] = changed[other], changed[place]
            return changed, min(place, other)
        earlier = dice.randrange(place + 1)
        changed.insert(earlier, changed.pop(place))
        return changed, earlier
