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

from .partition import Piece
from .problem import Problem

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


class Slots:
    """Room for pieces: a fixed number for each device. A *place* says for every unit which slot's piece it belongs to.

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
        self._seconds = [[INFINITE if s is None else s for s in unit.seconds] for unit in problem.units]
        self._weights = [unit.weight_bytes for unit in problem.units]
        self._chains = [self.of[d] for d in range(len(visits)) if d not in problem.parallel and len(self.of[d]) > 1]
        table = [[[INFINITE if s is None else s for s in row] for row in net.seconds] for net in problem.nets]
        self._nets = [(n.producer, n.consumers, t, n.export, n.to_host) for n, t in zip(problem.nets, table, strict=True)]

    def slot(self, unit: int, device: int, visit: int = 0) -> int:
        """The slot for a unit on its device's piece number `visit`."""
        return self.of[device][unit if device in self.problem.parallel else visit]

    def place(self, pieces: Iterable[Piece]) -> list[int]:
        """Where an ordered list of pieces puts the units. IndexError if a device has more pieces than slots."""
        place, seen = [-1] * self.count, [0] * len(self.problem.devices)
        for piece in pieces:
            for unit in piece.units:
                place[unit] = self.slot(unit, piece.device, seen[piece.device])
            seen[piece.device] += 1
        return place

    def seconds(self, place: Sequence[int]) -> float:
        """The time of a place; infinite where it is not possible: a device that cannot run a unit, a limit, a cycle between pieces."""
        return self._spread(place)[0]

    def period(self, place: Sequence[int]) -> float:
        """The largest load of a device that is not parallel; infinite where the place is not possible."""
        total, load, _ = self._spread(place)
        if total == INFINITE:
            return INFINITE
        loads = [0.0] * len(self.problem.devices)
        for slot in set(place):
            loads[self.device[slot]] += load[slot]
        loads[self.problem.host] += self._fetched
        return max((seconds for d, seconds in enumerate(loads) if d not in self.problem.parallel), default=0.0)

    def timeline(self, place: Sequence[int]) -> Timeline | None:
        """The pieces of a place and when they run; None if it is not possible."""
        total, load, end = self._spread(place)
        if total == INFINITE:
            return None
        units: dict[int, list[int]] = {}
        for unit, slot in enumerate(place):
            units.setdefault(slot, []).append(unit)
        rank = {slot: k for k, slot in enumerate(self._order)}
        runs = [Run(Piece(self.device[s], tuple(found)), end[s] - load[s], end[s]) for s, found in units.items()]
        runs.sort(key=lambda run: rank[place[run.piece.units[0]]])
        return Timeline(tuple(runs), total)

    def _spread(self, place: Sequence[int]) -> tuple[float, list[float], list[float]]:
        """Seconds in all, and per slot how long it lasts and when it ends."""
        device, problem = self.device, self.problem
        load = [0.0] * len(device)
        for unit, slot in enumerate(place):
            load[slot] += self._seconds[unit][device[slot]]
        used = set(place)
        for slot in used:
            load[slot] += problem.dispatch[device[slot]]
        if not self._fits(place):
            return INFINITE, load, load
        edges, outputs = self._handoffs(place, load)
        self._fetched = sum(seconds for _, seconds in outputs)
        for chain in self._chains:
            before = -1
            for slot in chain:
                if slot in used:
                    if before >= 0:
                        edges.append((before, slot))
                    before = slot
        end = self._ends(used, load, edges)
        return (INFINITE if end is None else self._last(used, end, outputs)), load, end or load

    def _fits(self, place: Sequence[int]) -> bool:
        device, weights = self.device, self._weights
        if self.problem.rooms:
            filled = [0] * len(self.problem.devices)
            for unit, slot in enumerate(place):
                filled[device[slot]] += weights[unit]
            if any(sum(filled[d] for d in room.devices) > room.bytes for room in self.problem.rooms):
                return False
        return all(len({device[place[unit]] for unit in units}) == 1 for units in self.problem.together)

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

    def _ends(self, used: set[int], load: list[float], edges: list[tuple[int, int]]) -> list[float] | None:
        """When each slot ends, by the longest path; None for a cycle."""
        waiting = [0] * len(load)
        after: list[list[int]] = [[] for _ in load]
        for a, b in edges:
            after[a].append(b)
            waiting[b] += 1
        start = [0.0] * len(load)
        end = [0.0] * len(load)
        nodes = [*sorted(used), *range(len(self.device), len(load))]
        ready = [slot for slot in nodes if not waiting[slot]]
        for slot in ready:
            end[slot] = done = start[slot] + load[slot]
            for b in after[slot]:
                if done > start[b]:
                    start[b] = done
                waiting[b] -= 1
                if not waiting[b]:
                    ready.append(b)
        if len(ready) < len(nodes):
            return None
        self._order = sorted(ready, key=lambda slot: start[slot])
        return end

    def _last(self, used: set[int], end: list[float], outputs: list[tuple[int, float]]) -> float:
        """When everything has ended: the host fetches outputs one after the other, or at once if it is parallel."""
        host, last = self.problem.host, max(end, default=0.0)
        if host in self.problem.parallel:
            return max([last, *(end[slot] + seconds for slot, seconds in outputs)])
        at = max((end[slot] for slot in self.of[host] if slot in used), default=0.0)
        for made, seconds in sorted((end[slot], seconds) for slot, seconds in outputs):
            at = max(at, made) + seconds
        return max(last, at)


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
