"""Simulated annealing over places: which piece of which device runs each unit, for the least time with overlap.

A step moves some units to one slot and keeps the change with probability exp(-rise / temperature); the temperature falls geometrically
from HOT to COLD times the time at hand. Four moves, as often as they paid in trials on the public placement instances: a set of units that
belong together, to a neighbour's slot; a random walk's region, to one slot; a window of the topological order; and the tail of a device's
units to another slot. Steps are counted and random numbers seeded, so equal problems give equal places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from .overlap import INFINITE, Slots

HOT, COLD = 0.08, 0.0005
TRIES = 8
"""Moves drawn until one changes something."""


def anneal(slots: Slots, cost: Callable[[Sequence[int]], float], start: Sequence[int], steps: int, seed: int) -> tuple[float, list[int]]:
    """The place of least cost that `steps` steps find from `start`, and its cost: never above `start`'s. `cost` is infinite for what is
    not possible (`slots.seconds`, `slots.period`)."""
    random, moves = Random(seed), Moves(slots)
    here = list(start)
    now = cost(here)
    best, found = now, here
    if now == INFINITE or len(slots.problem.units) < 1:
        return best, list(found)
    temperature, cooling = HOT * now, (COLD / HOT) ** (1 / max(steps, 1))
    for _ in range(steps):
        temperature *= cooling
        moved = moves.draw(here, random)
        if moved is None:
            continue
        seconds = cost(moved)
        if seconds <= now or (seconds < INFINITE and random.random() < math.exp((now - seconds) / temperature)):
            here, now = moved, seconds
            if now < best:
                best, found = now, here
    return best, list(found)


class Moves:
    """Changes of a place."""

    def __init__(self, slots: Slots) -> None:
        self.slots, problem = slots, slots.problem
        self.count = len(problem.units)
        self.group = [(unit,) for unit in range(self.count)]
        for units in problem.together:
            for unit in units:
                self.group[unit] = units
        near: list[set[int]] = [set() for _ in range(self.count)]
        for consumer, producers in enumerate(problem.predecessors):
            for producer in producers:
                near[consumer].add(producer)
                near[producer].add(consumer)
        self.near = [sorted(found) for found in near]
        self.able = [frozenset(unit.devices) for unit in problem.units]
        self.parallel = frozenset(problem.parallel)
        self.serial = [slot for slot, device in enumerate(slots.device) if device not in self.parallel]
        self.kinds: tuple[tuple[float, Callable[[Sequence[int], Random], tuple[list[int], int]]], ...] = (
            (0.35, self._unit), (0.55, self._region), (0.9, self._window), (1.0, self._tail),
        )  # fmt: skip

    def draw(self, place: Sequence[int], random: Random) -> list[int] | None:
        """A place beside this one; None if none of a few draws changes anything."""
        for _ in range(TRIES):
            dice = random.random()
            kind = next(move for most, move in self.kinds if dice < most)
            units, slot = kind(place, random)
            moved = self._moved(place, units, slot)
            if moved != place:
                return moved
        return None

    def _moved(self, place: Sequence[int], units: Sequence[int], slot: int) -> list[int]:
        """Units whose device cannot be the slot's stay, as do those that must be together with such."""
        device, moved = self.slots.device[slot], list(place)
        for unit in dict.fromkeys(other for each in units for other in self.group[each]):
            if all(device in self.able[other] for other in self.group[unit]):
                moved[unit] = self.slots.of[device][unit] if device in self.parallel else slot
        return moved

    def _any(self, random: Random) -> int:
        """A slot, each serial one and each parallel device as likely as the others."""
        k = random.randrange(len(self.serial) + len(self.slots.problem.parallel))
        return self.serial[k] if k < len(self.serial) else self.slots.of[self.slots.problem.parallel[k - len(self.serial)]][0]

    def _unit(self, place: Sequence[int], random: Random) -> tuple[list[int], int]:
        unit = random.randrange(self.count)
        near = [other for member in self.group[unit] for other in self.near[member]]
        return [unit], place[random.choice(near)] if near and random.random() < 0.8 else self._any(random)

    def _region(self, place: Sequence[int], random: Random) -> tuple[list[int], int]:
        unit = random.randrange(self.count)
        region = [unit]
        for _ in range(1 + int(random.expovariate(1 / 6))):
            if self.near[unit]:
                unit = random.choice(self.near[unit])
                region.append(unit)
        return region, self._any(random)

    def _window(self, place: Sequence[int], random: Random) -> tuple[list[int], int]:
        start = random.randrange(self.count)
        length = 1 + int(random.expovariate(1 / 4 if random.random() < 0.5 else 1 / max(1.0, self.count / 12)))
        units = list(range(start, min(start + length, self.count)))
        beside = start - 1 if random.random() < 0.5 else units[-1] + 1
        return units, place[beside] if 0 <= beside < self.count and random.random() < 0.5 else self._any(random)

    def _tail(self, place: Sequence[int], random: Random) -> tuple[list[int], int]:
        unit = random.randrange(self.count)
        device, slot = self.slots.device[place[unit]], place[unit]
        if device in self.parallel:
            units = [u for u in range(unit, self.count) if self.slots.device[place[u]] == device]
        else:
            units = [u for u in range(unit, self.count) if place[u] == slot]
        return units, self._any(random)
