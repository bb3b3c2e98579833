"""Checks a memory plan by brute force. Shares no code with the planner on purpose: it must not repeat the planner's mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol


class Placed(Protocol):
    """What is checked of a buffer; `memory.Buffer` has these fields."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def align(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


def violations(buffers: Sequence[Placed], offsets: Mapping[str, int], total: int, budget: int | None = None) -> tuple[str, ...]:
    """Every rule the plan breaks, one sentence each; empty for a valid plan. Looks at every pair that lives together."""
    found: list[str] = []
    names = {b.name for b in buffers}
    found += [f"{name!r} has an offset but is no buffer" for name in offsets if name not in names]
    found += [f"{b.name!r} has no offset" for b in buffers if b.name not in offsets]
    placed = [(b, offsets[b.name]) for b in buffers if b.name in offsets]
    for b, offset in placed:
        if offset < 0:
            found.append(f"{b.name!r} starts at {offset}, before the arena")
        if offset % b.align:
            found.append(f"{b.name!r} starts at {offset}, which is no multiple of {b.align}")
        if offset + b.size > total:
            found.append(f"{b.name!r} ends at {offset + b.size}, after the arena's {total} bytes")
    found += _overlaps(placed)
    if budget is not None and total > budget:
        found.append(f"the arena takes {total} bytes of {budget} allowed")
    return tuple(found)


def _overlaps(placed: Sequence[tuple[Placed, int]]) -> Iterable[str]:
    in_order = sorted(placed, key=lambda item: item[0].first)
    for position, (a, start) in enumerate(in_order):
        for k in range(position + 1, len(in_order)):
            b, other = in_order[k]
            if b.first > a.last:
                break  # and so is everything that is born later
            if start < other + b.size and other < start + a.size and b.last >= a.first:
                yield f"{a.name!r} [{start}, {start + a.size}) and {b.name!r} [{other}, {other + b.size}) are live together and overlap"
