"""What one request takes when devices work at once: pieces on a time axis.

Each device runs its pieces one at a time, in its own order; pieces of different devices overlap wherever no tensor ties them. A piece
starts when its device is free and all that it reads is there. It lasts

    dispatch + the handoffs of what its device reads here first + its units + what leaves it for the first time (`Net.export`).

Graph outputs are handed to the host at the end, in the order in which they are made. So every second of the sum of times lies in
exactly one piece, and the time with overlap is never above the sum.

A `parallel` device runs each of its units alone, as soon as it can, and hands tensors over beside that. With one piece an accelerator and
a parallel host this is the contracted graph of Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators"
(NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..partition import Piece
from ..problem import Problem
from .limits import Limits

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Run:
    """A piece and when it runs, in seconds from the start of the request."""

    piece: Piece
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """`runs` by start: an order in which one device after the other could run them as well."""

    runs: tuple[Run, ...]
    seconds: float
    """Until the last piece ends and the host has every output."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how every unit runs."""

    slots: tuple[int, ...]
    options: tuple[int, ...]
    """The index of its option on the slot's device."""


@dataclass(frozen=True, slots=True)
class _Spread:
    """A place on the time axis."""

    seconds: float
    load: list[float]
    """How long each slot lasts; copies to parallel devices have slots of their own behind all others."""
    end: list[float]
    order: list[int]
    """Slots, each behind those it waits for."""
    fetched: float
    """Seconds in which the host fetches outputs at the end."""


IMPOSSIBLE = _Spread(INFINITE, [], [], [], 0.0)


class Slots:
    """Room for pieces: a fixed number for each device. A place says for every unit to which slot's piece it belongs.

    Slots of one device are numbered in the order in which it runs them; an empty slot costs nothing. On a parallel device every unit has
    a slot of its own."""

    def __init__(self, problem: Problem, visits: Sequence[int]) -> None:
        """`visits[d]`: slots of device d."""
        self.problem, self.count = problem, len(problem.units)
        self.device = [d for d, most in enumerate(visits) for _ in range(most) if d not in problem.parallel]
        self.of = {d: [slot for slot, device in enumerate(self.device) if device == d] for d in range(len(visits))}
        for d in problem.parallel:
            self.of[d] = list(range(len(self.device), len(self.device) + self.count))
            self.device += [d] * self.count
        every = range(len(problem.devices))
        self._seconds = [[[option.seconds for option in unit.on(d)] for d in every] for unit in problem.units]
        self._limits = Limits(problem)
        self._chains = [self.of[d] for d in range(len(visits)) if d not in problem.parallel and len(self.of[d]) > 1]
        table = [[[INFINITE if s is None else s for s in row] for row in net.seconds] for net in problem.nets]
        self._nets = [(n.producer, n.consumers, t, n.export, n.to_host) for n, t in zip(problem.nets, table, strict=True)]

    def slot(self, unit: int, device: int, visit: int = 0) -> int:
        """The slot for a unit on its device's piece number `visit`."""
        return self.of[device][unit if device in self.problem.parallel else visit]

    def place(self, pieces: Iterable[Piece], options: Sequence[int] = ()) -> Place:
        """Where an ordered list of pieces puts the units. IndexError if a device has more pieces than slots."""
        slots, seen = [-1] * self.count, [0] * len(self.problem.devices)
        for piece in pieces:
            for unit in piece.units:
                slots[unit] = self.slot(unit, piece.device, seen[piece.device])
            seen[piece.device] += 1
        return Place(tuple(slots), tuple(options) or (0,) * self.count)

    def assignment(self, place: Place) -> tuple[int, ...]:
        """The device of every unit."""
        return tuple(self.device[slot] for slot in place.slots)

    def seconds(self, place: Place) -> float:
        """The time of a place; infinite where it is not possible: a limit, a tensor without a way, a circle of pieces."""
        return self._spread(place).seconds

    def period(self, place: Place) -> float:
        """The largest load of a device that is not parallel; infinite where the place is not possible."""
        spread = self._spread(place)
        if spread.seconds == INFINITE:
            return INFINITE
        loads = [0.0] * len(self.problem.devices)
        for slot in spread.order:
            if slot < len(self.device):
                loads[self.device[slot]] += spread.load[slot]
        loads[self.problem.host] += spread.fetched
        return max((seconds for d, seconds in enumerate(loads) if d not in self.problem.parallel), default=0.0)

    def timeline(self, place: Place) -> Timeline | None:
        """The pieces of a place and when they run; None if it is not possible."""
        spread = self._spread(place)
        if spread.seconds == INFINITE:
            return None
        units: dict[int, list[int]] = {}
        for unit, slot in enumerate(place.slots):
            units.setdefault(slot, []).append(unit)
        order = sorted((slot for slot in spread.order if slot in units), key=lambda slot: spread.end[slot] - spread.load[slot])
        runs = (Run(Piece(self.device[s], tuple(units[s])), spread.end[s] - spread.load[s], spread.end[s]) for s in order)
        return Timeline(tuple(runs), spread.seconds)

    def _spread(self, place: Place) -> _Spread:
        device, dispatch, options = self.device, self.problem.dispatch, place.options
        load = [0.0] * len(device)
        try:
            for unit, slot in enumerate(place.slots):
                load[slot] += self._seconds[unit][device[slot]][options[unit]]
        except IndexError:
            return IMPOSSIBLE
        used = set(place.slots)
        for slot in used:
            load[slot] += dispatch[device[slot]]
        computed = [0.0] * len(self.problem.devices) if self._limits.timed else []
        for slot in used if computed else ():
            computed[device[slot]] += load[slot]
        edges, outputs = self._handoffs(place.slots, load)
        fetched = sum(seconds for _, seconds in outputs)
        handoff = sum(load) + fetched - sum(computed)
        if not self._limits.kept(self.assignment(place), options, len(used), computed, handoff):
            return IMPOSSIBLE
        for chain in self._chains:
            edges.extend(pairwise(slot for slot in chain if slot in used))
        nodes = [*sorted(used), *range(len(device), len(load))]
        order, end = _in_time(nodes, load, edges)
        if len(order) < len(nodes):
            return IMPOSSIBLE
        return _Spread(self._last(used, end, outputs), load, end, order, fetched)

    def _handoffs(self, place: Sequence[int], load: list[float]) -> tuple[list[tuple[int, int]], list[tuple[int, float]]]:
        """Adds handoffs to the load. Which slot follows which, and (slot, seconds) of outputs that the host fetches at the end."""
        device, host, parallel = self.device, self.problem.host, self.problem.parallel
        edges: list[tuple[int, int]] = []
        outputs: list[tuple[int, float]] = []
        for producer, consumers, table, export, to_host in self._nets:
            source = place[producer] if producer >= 0 else -1
            here = device[source] if producer >= 0 else host
            first: dict[int, int] = {}
            readers: list[int] = []
            for consumer in consumers:
                slot = place[consumer]
                if slot == source:
                    continue
                readers.append(slot)
                there = device[slot]
                if there != here and slot < first.get(there, slot + 1):
                    first[there] = slot
            for there, slot in first.items():
                if there not in parallel:
                    load[slot] += table[here][there]
                elif table[here][there]:
                    copy = len(load)
                    load.append(table[here][there])
                    if source >= 0:
                        edges.append((source, copy))
                    edges.extend((copy, reader) for reader in readers if device[reader] == there)
            if source >= 0:
                edges.extend((source, reader) for reader in readers)
                if to_host and here != host and host not in first:
                    outputs.append((source, table[here][host]))
                    first[host] = -1
                if first and export:
                    load[source] += export[here]
        return edges, outputs

    def _last(self, used: set[int], end: list[float], outputs: list[tuple[int, float]]) -> float:
        """When everything has ended: the host fetches outputs one after the other, or at once if it is parallel."""
        host, last = self.problem.host, max(end, default=0.0)
        if host in self.problem.parallel:
            return max([last, *(end[slot] + seconds for slot, seconds in outputs)])
        at = max((end[slot] for slot in self.of[host] if slot in used), default=0.0)
        for made, seconds in sorted((end[slot], seconds) for slot, seconds in outputs):
            at = max(at, made) + seconds
        return max(last, at)


def _in_time(nodes: Sequence[int], load: Sequence[float], edges: Iterable[tuple[int, int]]) -> tuple[list[int], list[float]]:
    """Slots, each behind those it waits for, and when each ends: the longest path. Those in or behind a circle are missing."""
    waiting = [0] * len(load)
    after: list[list[int]] = [[] for _ in load]
    for a, b in edges:
        after[a].append(b)
        waiting[b] += 1
    start, end = [0.0] * len(load), [0.0] * len(load)
    ready = [slot for slot in nodes if not waiting[slot]]
    for slot in ready:
        end[slot] = done = start[slot] + load[slot]
        for b in after[slot]:
            if done > start[b]:
                start[b] = done
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    return ready, end


def timeline(problem: Problem, pieces: Sequence[Piece]) -> Timeline | None:
    """When these pieces run if every device takes its own in the order given; None if a unit cannot run there, a limit is exceeded, a
    tensor has no way, or pieces wait for each other in a circle."""
    visits = [sum(piece.device == d for piece in pieces) for d in range(len(problem.devices))]
    for device, count in enumerate(visits):
        most = problem.piece_limit(device)
        if most is not None and count > most:
            return None
    slots = Slots(problem, visits)
    return slots.timeline(slots.place(pieces))
