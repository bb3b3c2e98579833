"""Where tensors lie while operators run, as plain numbers: one option per item, memories of limited room, and time to be saved.

minimise  sum over steps of max(floor, seconds of traffic in each memory) + sum over items of the seconds of their transfers
so that   at every step, in every memory, the bytes held by the chosen options fit the room
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """Bytes of a memory from one step to another, both inclusive."""

    memory: int
    first: int
    last: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Option:
    """One way for an item to lie in memories over time."""

    seconds: float
    """Of its transfers, which nothing overlaps."""
    holds: tuple[Hold, ...]
    traffic: tuple[tuple[int, int, float], ...]
    """(step, memory, seconds): what steps read and write of it, and what is copied while they compute."""


@dataclass(frozen=True, slots=True)
class Step:
    floor: float
    """Seconds that it takes wherever its operands lie."""
    traffic: tuple[tuple[int, float], ...] = ()
    """(memory, seconds) of operands that always lie there."""
    taken: tuple[tuple[int, int], ...] = ()
    """(memory, bytes) that are not to be had at this step."""


@dataclass(frozen=True, slots=True)
class Residency:
    """The problem."""

    rooms: tuple[int, ...]
    """Bytes per memory."""
    steps: tuple[Step, ...]
    items: tuple[tuple[Option, ...], ...]
