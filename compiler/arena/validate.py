"""Checks a memory plan by brute force. Shares no code with the planner on purpose: it must not repeat the planner's mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol


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
    """Every rule the plan breaks, one sentence each; empty for a valid plan. Looks at every pair that lives together."""
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
    in_order = sorted(buffers, key=lambda b: b.lifetime[0])
    for position, a in enumerate(in_order):
        for k in range(position + 1, len(in_order)):
            b = in_order[k]
            if b.lifetime[0] > a.lifetime[1]:
                break  # and so is everything that is born later
            if a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes and b.lifetime[1] >= a.lifetime[0]:
                ours, theirs = f"[{a.offset}, {a.offset + a.bytes})", f"[{b.offset}, {b.offset + b.bytes})"
                yield f"{a.name!r} {ours} and {b.name!r} {theirs} are live together and overlap"
