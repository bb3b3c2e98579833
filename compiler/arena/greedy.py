"""Greedy rules: buffers in some order, each at the lowest (or tightest) gap that those before it leave. Real graphs are solved by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .buffer import Buffer

PLACING = 16
"""What placing one buffer costs beside looking at its neighbours, in visits."""


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


class Greedy:
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

    def portfolio(self, goal: int, allowed: int) -> list[int]:
        """Offsets by the best rule; the first two always run, further ones while work is left and no plan keeps to `goal` bytes."""
        best: list[int] = []
        lowest = 0
        for number, (order, tight) in enumerate(self.orders()):
            if number > 1 and self.work > allowed:
                break
            offsets = self.place(order, tight=tight)
            height = max(o + s for o, s in zip(offsets, self.sizes, strict=True))
            if not best or height < lowest:
                best, lowest = offsets, height
            if lowest <= goal:
                break
        return best

    def place(self, order: Sequence[int], *, tight: bool) -> list[int]:
        """Offsets, each buffer placed in that order."""
        offsets = [-1] * len(order)
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
