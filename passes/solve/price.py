"""What a plan costs, exactly, and whether it keeps the limits: an independent reading of the problem that the solvers are held against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .partition import Piece, partition
from .problem import Option, Problem, Room, Weights, read_as, wanted

SLACK = 1e-9
"""Relative: what rounding in sums of times may take from a limit."""


@dataclass(frozen=True, slots=True)
class Price:
    """What an assignment costs, in seconds, and how it is cut."""

    compute: float
    dispatch: float
    handoff: float
    pieces: tuple[Piece, ...]
    busy: tuple[float, ...] = ()
    """Seconds that each device computes, its dispatches included."""
    error: float = 0.0
    cost: float = 0.0
    """In terms of the problem's objective: seconds for latency, joules for energy."""

    @property
    def total(self) -> float:
        return self.compute + self.dispatch + self.handoff

    def value(self, weights: Weights) -> float:
        """Of a quantity that is linear in time."""
        return sum(w * s for w, s in zip(weights.busy, self.busy, strict=True)) + weights.handoff * self.handoff


def chosen(problem: Problem, assignment: Sequence[int], options: Sequence[int] | None = None) -> list[Option] | None:
    """Every unit's option, the first one where `options` says nothing; None where a device cannot run its unit."""
    found = []
    for k, (unit, device) in enumerate(zip(problem.units, assignment, strict=True)):
        on = unit.on(device)
        if not on:
            return None
        found.append(on[options[k] if options else 0])
    return found


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that a plan breaks, in the limit's own terms: seconds, joules, watts, bytes, segments."""

    name: str
    value: float
    most: float


def price(
    problem: Problem, assignment: Sequence[int], options: Sequence[int] | None = None, cut: tuple[Piece, ...] | None = None
) -> Price | None:
    """The exact predicted cost of an assignment (device index per unit, and the option's index on that device), cut so or with the
    least dispatches; None if it is not possible or breaks a limit."""
    picked = chosen(problem, assignment, options)
    if picked is None or not fits(problem, assignment, picked):
        return None
    found = _unlimited(problem, assignment, picked, cut)
    return None if found is None or any(_excesses_of(problem, found)) else found


def excesses(problem: Problem, assignment: Sequence[int], options: Sequence[int] | None = None) -> tuple[Excess, ...]:
    """The limits that a plan breaks, which is possible without them; () where it keeps them all, or is not possible."""
    picked = chosen(problem, assignment, options)
    found = None if picked is None else _unlimited(problem, assignment, picked)
    if picked is None or found is None:
        return ()
    filled = [(room.name, room_bytes(problem, room, assignment, picked), room.bytes) for room in problem.rooms]
    return (*(Excess(name, held, most) for name, held, most in filled if held > most), *_excesses_of(problem, found))


def _excesses_of(problem: Problem, found: Price) -> Iterator[Excess]:
    """Of the limits that are not on memory."""
    for device, name in enumerate(problem.devices):
        most, count = problem.piece_limit(device), sum(piece.device == device for piece in found.pieces)
        if most is not None and count > most:
            yield Excess(f"partitions {name}", count, most)
    if problem.most_in_all is not None and len(found.pieces) > problem.most_in_all:
        yield Excess("partitions", len(found.pieces), problem.most_in_all)
    if problem.most_error is not None and found.error > problem.most_error * (1 + SLACK):
        yield Excess("error", found.error, problem.most_error)
    for bound in problem.bounds:
        value = found.value(bound.weights)
        if value > bound.most + SLACK * max(abs(bound.most), found.total):
            average = value / found.total + bound.average if bound.average and found.total else value
            yield Excess(bound.name, average, bound.average or bound.most)


def _unlimited(problem: Problem, assignment: Sequence[int], picked: Sequence[Option], cut: tuple[Piece, ...] | None = None) -> Price | None:
    """None where a tensor has no route, or its reader's device cannot bring it into the form that the reader takes."""
    handoff, recoded = _handoffs(problem, assignment, picked), _recodings(problem, assignment, picked)
    if handoff is None or recoded is None:
        return None
    costs = tuple(seconds * weight for seconds, weight in zip(problem.dispatch, problem.aim.busy, strict=True))
    pieces = partition(assignment, problem.predecessors, costs) if cut is None else cut
    return _priced(problem, assignment, picked, handoff, pieces, recoded)


def _priced(
    problem: Problem,
    assignment: Sequence[int],
    picked: Sequence[Option],
    handoff: float,
    pieces: tuple[Piece, ...],
    recoded: Sequence[float],
) -> Price:
    compute, dispatch = list(recoded), [0.0] * len(problem.devices)
    for option, device in zip(picked, assignment, strict=True):
        compute[device] += option.seconds
    for piece in pieces:
        dispatch[piece.device] += problem.dispatch[piece.device]
    busy = tuple(a + b for a, b in zip(compute, dispatch, strict=True))
    found = Price(sum(compute), sum(dispatch), handoff, pieces, busy, sum(option.error for option in picked))
    cost = found.total if problem.objective is None else found.value(problem.objective)
    return Price(found.compute, found.dispatch, handoff, pieces, busy, found.error, cost)


def _recodings(problem: Problem, assignment: Sequence[int], picked: Sequence[Option]) -> list[float] | None:
    """Seconds per device."""
    found, forms = [0.0] * len(problem.devices), [option.reads for option in picked]
    for net in (net for net in problem.nets if net.recode):
        left = 0 if net.producer < 0 else picked[net.producer].form
        for device, form in read_as(problem, net, assignment, forms):
            seconds = net.recode[device][left][form]
            if seconds is None:
                return None
            found[device] += seconds
    return found


def _handoffs(problem: Problem, assignment: Sequence[int], picked: Sequence[Option]) -> float | None:
    total = 0.0
    for net in problem.nets:
        source, form = (problem.host, 0) if net.producer < 0 else (assignment[net.producer], picked[net.producer].form)
        for device in wanted(problem, net, assignment):
            seconds = net.time(source, device, form)
            if seconds is None:
                return None
            total += seconds
        if net.export and net.producer >= 0 and any(device != source for device in wanted(problem, net, assignment)):
            total += net.export[source]
    return total


def fits(problem: Problem, assignment: Sequence[int], picked: Sequence[Option]) -> bool:
    """Whether every memory has room, and what must be together is."""
    if any(len({assignment[unit] for unit in units}) > 1 for units in problem.together):
        return False
    return all(room_bytes(problem, room, assignment, picked) <= room.bytes for room in problem.rooms)


def room_bytes(problem: Problem, room: Room, assignment: Sequence[int], picked: Sequence[Option]) -> int:
    """Weight bytes that the assignment puts into a memory, and what is live there at once at least."""
    placed = list(zip(problem.units, assignment, picked, strict=True))
    weights = sum(unit.stored(option) for unit, device, option in placed if device in room.devices)
    everywhere = len(set(room.homes)) == len(problem.devices)
    live = (unit.touched_bytes * (device in room.homes) + unit.passing_bytes * everywhere for unit, device, _ in placed)
    return weights + max(live, default=0)
