"""The placement problem and its solution, as plain numbers: units, tensors between them, devices. Knows no ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .partition import Piece, partition


@dataclass(frozen=True, slots=True)
class Unit:
    """Operators that are placed together. `seconds[d]` is their time on device d, launches included; None: it cannot run them."""

    name: str
    seconds: tuple[float | None, ...]
    weight_bytes: int = 0

    @property
    def devices(self) -> tuple[int, ...]:
        return tuple(d for d, seconds in enumerate(self.seconds) if seconds is not None)

    @property
    def fastest(self) -> float:
        return min(s for s in self.seconds if s is not None)


@dataclass(frozen=True, slots=True)
class Net:
    """A tensor that may cross devices: it is handed over at most once to each device that needs it.

    `producer` is a unit, or -1 for a graph input (which the host holds); `to_host` marks a graph output.
    `seconds[a][b]` is the time from device a to b, 0 on the diagonal, None where no chain of links can carry it."""

    tensor: str
    producer: int
    consumers: tuple[int, ...]
    to_host: bool
    seconds: tuple[tuple[float | None, ...], ...]
    export: tuple[float, ...] = ()
    """Seconds per device that its producer's device pays once if any other needs the tensor, on top of `seconds`; () for none."""


@dataclass(frozen=True, slots=True)
class Room:
    """A memory as a hard limit: the weights of everything on `devices` must fit in `bytes`."""

    name: str
    devices: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class Problem:
    devices: tuple[str, ...]
    host: int
    dispatch: tuple[float, ...]
    units: tuple[Unit, ...]
    """In topological order."""
    nets: tuple[Net, ...]
    rooms: tuple[Room, ...] = ()
    most_pieces: tuple[int | None, ...] = ()
    """The most segments each device may have (`partitions npu <= 4`), None or missing for any number."""
    together: tuple[tuple[int, ...], ...] = ()
    """Sets of units that one device runs, not necessarily in one segment."""
    parallel: tuple[int, ...] = ()
    """Devices that run any number of units at once, each as soon as its inputs are there."""

    def piece_limit(self, device: int) -> int | None:
        return self.most_pieces[device] if device < len(self.most_pieces) else None

    @cached_property
    def predecessors(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.units]
        for net in self.nets:
            if net.producer >= 0:
                for consumer in net.consumers:
                    found[consumer].append(net.producer)
        return found


@dataclass(frozen=True, slots=True)
class Price:
    """What an assignment costs, in seconds, and how it is cut."""

    compute: float
    dispatch: float
    handoff: float
    pieces: tuple[Piece, ...]

    @property
    def total(self) -> float:
        return self.compute + self.dispatch + self.handoff


def price(problem: Problem, assignment: Sequence[int]) -> Price | None:
    """The exact predicted cost of an assignment (device index per unit); None if it is not possible."""
    compute = 0.0
    for unit, device in zip(problem.units, assignment, strict=True):
        seconds = unit.seconds[device]
        if seconds is None:
            return None
        compute += seconds
    handoff = 0.0
    for net in problem.nets:
        source = problem.host if net.producer < 0 else assignment[net.producer]
        exported = False
        for device in _wanted(problem, net, assignment):
            seconds = net.seconds[source][device]
            if seconds is None:
                return None
            handoff += seconds
            exported = exported or device != source
        if exported and net.export:
            handoff += net.export[source]
    if any(len({assignment[unit] for unit in units}) > 1 for units in problem.together):
        return None
    if any(room_bytes(problem, room, assignment) > room.bytes for room in problem.rooms):
        return None
    pieces = partition(assignment, problem.predecessors, problem.dispatch)
    for device in range(len(problem.devices)):
        most = problem.piece_limit(device)
        if most is not None and sum(piece.device == device for piece in pieces) > most:
            return None
    return Price(compute, sum(problem.dispatch[piece.device] for piece in pieces), handoff, pieces)


def room_bytes(problem: Problem, room: Room, assignment: Sequence[int]) -> int:
    """Weight bytes that the assignment puts into a memory."""
    return sum(u.weight_bytes for u, d in zip(problem.units, assignment, strict=True) if d in room.devices)


def _wanted(problem: Problem, net: Net, assignment: Sequence[int]) -> list[int]:
    """Devices that need the tensor, the host for a graph output included, each once."""
    wanted = [assignment[c] for c in net.consumers]
    return sorted({*wanted, problem.host} if net.to_host else set(wanted))
