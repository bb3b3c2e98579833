"""Checks a memory plan. Shares no code with the planner on purpose: it must not repeat the planner's mistakes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol

MOST_TOLD = 100
"""Buffers whose overlaps are reported."""


class Placed(Protocol):
    """What is checked of a buffer in its place; a slot of the manifest answers it."""

    @property
    def name(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def align(self) -> int: ...
    @property
    def lifetime(self) -> tuple[int, int]: ...
    @property
    def offset(self) -> int: ...


def violations(buffers: Sequence[Placed], total: int, budget: int | None = None) -> tuple[str, ...]:
    """Every rule the plan breaks, one sentence each; empty for a valid plan. Time grows as n log n for a valid one."""
    found: list[str] = []
    for b in buffers:
        if b.offset < 0:
            found.append(f"{b.name!r} starts at {b.offset}, before the arena")
        if b.offset % b.align:
            found.append(f"{b.name!r} starts at {b.offset}, which is not a multiple of {b.align}")
        if b.offset + b.bytes > total:
            found.append(f"{b.name!r} ends at {b.offset + b.bytes}, after the arena's {total} bytes")
    found += _overlaps(buffers)
    if budget is not None and total > budget:
        found.append(f"the arena takes {total} bytes of {budget} allowed")
    return tuple(found)


def _overlaps(buffers: Sequence[Placed]) -> Iterable[str]:
    """Every pair that lives together on the same bytes has one of those that found their bytes taken."""
    taken = _taken(buffers)
    told: set[tuple[str, str]] = set()
    for a in taken[:MOST_TOLD]:
        for b in buffers:
            apart = a.offset >= b.offset + b.bytes or b.offset >= a.offset + a.bytes
            if b is a or apart or b.lifetime[0] > a.lifetime[1] or a.lifetime[0] > b.lifetime[1] or (b.name, a.name) in told:
                continue
            told.add((a.name, b.name))
            ours, theirs = f"[{a.offset}, {a.offset + a.bytes})", f"[{b.offset}, {b.offset + b.bytes})"
            yield f"{a.name!r} {ours} and {b.name!r} {theirs} are live together and overlap"


def _taken(buffers: Sequence[Placed]) -> list[Placed]:
    """Buffers whose bytes hold another one when they are born. One walk over births and deaths, with those that live in order of their
    bytes, apart from each other: a new one can only meet its neighbours there."""
    events = sorted([(b.lifetime[0], 1, k) for k, b in enumerate(buffers)] + [(b.lifetime[1] + 1, 0, k) for k, b in enumerate(buffers)])
    live: list[tuple[int, int, int]] = []  # (begin, end, buffer)
    found = []
    for _, born, k in events:
        b = buffers[k]
        here = (b.offset, b.offset + b.bytes, k)
        place = bisect_left(live, here)
        if not born:
            if place < len(live) and live[place] == here:
                del live[place]
        elif (place and live[place - 1][1] > here[0]) or (place < len(live) and live[place][0] < here[1]):
            found.append(b)
        else:
            live.insert(place, here)
    return found
