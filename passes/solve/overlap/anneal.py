"""Simulated annealing over places: which piece of which device runs each unit, for the least time with overlap.

A step moves some units to one slot and keeps the change with probability exp(-rise / temperature); the temperature falls geometrically
from HOT to COLD times the time at hand. Four moves, as often as they paid in trials on the public placement instances: a set of units that
belong together, to a neighbour's slot; a random walk's region, to one slot; a window of the topological order; and the tail of a device's
units to another slot. Where units have options, three in ten moves change one. Steps are counted and random numbers seeded, so equal
problems give equal places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random

from ..problem import Option
from .slots import INFINITE, Place, Slots

HOT, COLD = 0.08, 0.0005
OPTION = 0.3
"""How often the option of a unit changes instead of its slot, where there are several."""
TRIES = 8
"""Moves drawn until one changes something."""


def anneal(slots: Slots, cost: Callable[[Place], float], start: Place, steps: int, seed: int) -> tuple[float, Place]:
    """The place of least cost that `steps` steps find from `start`, and its cost: never above `start`'s. `cost` is infinite for what is
    not possible (`slots.seconds`, `slots.period`)."""
    random, moves = Random(seed), Moves(slots)
    here = found = start
    now = best = cost(here)
    if now == INFINITE or now <= 0:
        return best, found
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
    return best, found


class Moves:
    """Changes of a place."""

    def __init__(self, slots: Slots) -> None:
        self.slots, problem = slots, slots.problem
        self.count = len(problem.units)
        self.group: list[tuple[int, ...]] = [(unit,) for unit in range(self.count)]
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
        self.mildest = [[_mildest(unit.on(d)) for d in range(len(problem.devices))] for unit in problem.units]
        self.open = [k for k, unit in enumerate(problem.units) if any(len(unit.on(d)) > 1 for d in unit.devices)]
        self.parallel = frozenset(problem.parallel)
        self.serial = [slot for slot, device in enumerate(slots.device) if device not in self.parallel]
        self.kinds: tuple[tuple[float, Callable[[Sequence[int], Random], tuple[list[int], int]]], ...] = (
            (0.35, self._unit), (0.55, self._region), (0.9, self._window), (1.0, self._tail),
        )  # fmt: skip

    def draw(self, place: Place, random: Random) -> Place | None:
        """A place beside this one; None if none of a few draws changes anything."""
        for _ in range(TRIES):
            if self.open and random.random() < OPTION:
                return self._option(place, random)
            dice = random.random()
            kind = next(move for most, move in self.kinds if dice < most)
            units, slot = kind(place.slots, random)
            moved = self._moved(place, units, slot, random)
            if moved != place:
                return moved
        return None

    def _moved(self, place: Place, units: Sequence[int], slot: int, random: Random) -> Place:
        """Units whose device cannot be the slot's stay, as do those that must be together with such. Where errors are limited, all that
        moved take the option of least error, or all the first one."""
        device, slots, options = self.slots.device[slot], list(place.slots), list(place.options)
        careful = self.slots.problem.most_error is not None and random.random() < 0.5
        for unit in dict.fromkeys(other for each in units for other in self.group[each]):
            if all(device in self.able[other] for other in self.group[unit]):
                if self.slots.device[slots[unit]] != device:
                    options[unit] = self.mildest[unit][device] if careful else 0
                slots[unit] = self.slots.of[device][unit] if device in self.parallel else slot
        return Place(tuple(slots), tuple(options))

    def _option(self, place: Place, random: Random) -> Place:
        """Another option of a unit that has several somewhere, on the device where it is."""
        unit, options = random.choice(self.open), list(place.options)
        options[unit] = random.randrange(len(self.slots.problem.units[unit].on(self.slots.device[place.slots[unit]])))
        return Place(place.slots, tuple(options))

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


def _mildest(options: Sequence[Option]) -> int:
    return min(range(len(options)), key=lambda k: options[k].error, default=0)
