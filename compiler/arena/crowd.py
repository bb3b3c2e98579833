"""Offsets for so many buffers live together that no search over orders pays, as in a graph with thousands of inputs or outputs."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from .buffer import Buffer

CROWD = 2_000_000
"""Pairs of buffers that live together beyond which no order is searched: the pairs alone would take gigabytes."""
MOST_GAPS = 64
"""Gaps looked at for one buffer of a crowd."""


def pairs(buffers: Sequence[Buffer]) -> int:
    """How many pairs are live at one step."""
    found = live = 0
    changes = sorted([(b.lifetime[0], 1) for b in buffers] + [(b.lifetime[1] + 1, -1) for b in buffers])
    for _, change in changes:
        found += live if change > 0 else 0
        live += change
    return found


def by_birth(buffers: Sequence[Buffer]) -> list[int]:
    """Offsets for a crowd, in the order of births, larger ones first: the smallest gap that fits, else on top. Time grows with
    the number of buffers."""
    offsets, gaps, top = [0] * len(buffers), _Gaps(), 0
    born = sorted(range(len(buffers)), key=lambda i: (buffers[i].lifetime[0], -buffers[i].bytes, i))
    dying = sorted(range(len(buffers)), key=lambda i: buffers[i].lifetime[1], reverse=True)
    for i in born:
        b = buffers[i]
        while dying and buffers[dying[-1]].lifetime[1] < b.lifetime[0]:
            dead = dying.pop()
            gaps.give(offsets[dead], offsets[dead] + buffers[dead].bytes)
        found = gaps.take(b.bytes, b.align)
        if found is None:
            found = -(-top // b.align) * b.align
            if found > top:
                gaps.give(top, found)
            top = found + b.bytes
        offsets[i] = found
    return offsets


class _Gaps:
    """Free bytes below the top, apart from each other."""

    def __init__(self) -> None:
        self._by_size: list[tuple[int, int]] = []  # (size, begin)
        self._end: dict[int, int] = {}
        self._begin: dict[int, int] = {}

    def give(self, begin: int, end: int) -> None:
        """Frees [begin, end)."""
        if begin in self._begin:
            begin = self._remove(self._begin[begin])[0]
        if end in self._end:
            end = self._remove(end)[1]
        self._end[begin], self._begin[end] = end, begin
        insort(self._by_size, (end - begin, begin))

    def take(self, size: int, align: int) -> int | None:
        """Where `size` bytes lie now, in the smallest gap that has room; None where none of those looked at has."""
        first = bisect_left(self._by_size, (size, -1))
        for _, begin in self._by_size[first : first + MOST_GAPS]:
            start = -(-begin // align) * align
            if start + size > self._end[begin]:
                continue
            begin, end = self._remove(begin)
            for left, right in ((begin, start), (start + size, end)):
                if left < right:
                    self.give(left, right)
            return start
        return None

    def _remove(self, begin: int) -> tuple[int, int]:
        end = self._end.pop(begin)
        del self._begin[end]
        del self._by_size[bisect_left(self._by_size, (end - begin, begin))]
        return begin, end
