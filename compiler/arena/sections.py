"""A packing problem with time reduced to what matters: its maximal live sets, called sections.

Whatever lives at one step lives in one section, so two buffers live together exactly where they share a section. A buffer lives in
consecutive sections.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .buffer import Buffer


@dataclass(frozen=True, slots=True)
class Problem:
    """By buffer, in the caller's order. Sizes, alignments and offsets are in units of `unit` bytes."""

    unit: int
    bytes: tuple[int, ...]
    """Sizes in bytes."""
    sizes: tuple[int, ...]
    """Rounded up to whole units: nothing but the end of the arena can use the rest of a unit."""
    aligns: tuple[int, ...]
    spans: tuple[int, ...]
    """Steps from the first to the last."""
    first: tuple[int, ...]
    """First section."""
    last: tuple[int, ...]
    """Last section, inclusive."""
    members: tuple[tuple[int, ...], ...]
    """By section, the buffers that live in it."""

    def capacity(self, limit: int) -> int:
        """Units that an arena of `limit` bytes has, the last one perhaps in part."""
        return -(-limit // self.unit)

    def highest(self, limit: int) -> list[int]:
        """By buffer, its highest offset in an arena of `limit` bytes."""
        return [(limit - size) // self.unit // align * align for size, align in zip(self.bytes, self.aligns, strict=True)]

    def offsets(self, units: Sequence[int]) -> list[int]:
        """Bytes from units."""
        return [place * self.unit for place in units]


def reduce(buffers: Sequence[Buffer]) -> Problem:
    """The problem of placing `buffers`, at least one."""
    lives = [b.lifetime for b in buffers]
    members = _maximal_live_sets(lives)
    first, last = [-1] * len(buffers), [-1] * len(buffers)
    for section, live in enumerate(members):
        for i in live:
            if first[i] < 0:
                first[i] = section
            last[i] = section
    unit, aligns = _unit(buffers)
    return Problem(
        unit=unit,
        bytes=tuple(b.bytes for b in buffers),
        sizes=tuple(-(-b.bytes // unit) for b in buffers),
        aligns=aligns,
        spans=tuple(end - begin + 1 for begin, end in lives),
        first=tuple(first),
        last=tuple(last),
        members=members,
    )


def _maximal_live_sets(lives: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """The live sets that no other one contains, in order of time: those at which the next to come is a death after a birth."""
    events = sorted([(begin, 1, i) for i, (begin, _) in enumerate(lives)] + [(end + 1, 0, i) for i, (_, end) in enumerate(lives)])
    found: list[tuple[int, ...]] = []
    live: dict[int, None] = {}
    grew = False
    for _, born, i in events:
        if born:
            live[i] = None
            grew = True
            continue
        if grew:
            found.append(tuple(live))
            grew = False
        del live[i]
    return tuple(found)


def _unit(buffers: Sequence[Buffer]) -> tuple[int, tuple[int, ...]]:
    """The largest unit of which every offset worth trying is a multiple, and the alignments in it.

    A buffer rests on the bottom or on others. If each alignment divides each size, offsets are sums of sizes; otherwise they are still
    multiples of what the alignments have in common.
    """
    common = math.gcd(*(b.bytes for b in buffers))
    if all(common % b.align == 0 for b in buffers):
        return common, (1,) * len(buffers)
    unit = math.gcd(*(b.align for b in buffers))
    return unit, tuple(b.align // unit for b in buffers)
