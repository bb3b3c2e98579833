"""The time of pieces that overlap, and the best of all plans, written out without the solver's own functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from autoglmc.passes.solve.problem import Problem

Order = tuple[tuple[int, frozenset[int]], ...]
"""Pieces in an order of execution: a device and its units each."""


@dataclass(frozen=True)
class Busy:
    makespan: float
    period: float
    total: float
    """Sum of times, copies included."""


def run(problem: Problem, order: Order, options: Sequence[int] = ()) -> Busy | None:
    """One piece after the other is given the earliest start; None where that is not possible. A parallel device's pieces have one unit."""
    device_of = {unit: device for device, units in order for unit in units}
    free = dict.fromkeys(range(len(problem.devices)), 0.0)
    ended: dict[int, float] = {}
    there: dict[tuple[str, int], float] = {}
    busy, copied = dict(free), 0.0
    for device, units in order:
        lasts = problem.dispatch[device]
        starts = 0.0 if device in problem.parallel else free[device]
        for unit in units:
            seconds = problem.units[unit].seconds[device]
            if seconds is None:
                return None
            lasts += problem.units[unit].options[device][options[unit]].seconds if options else seconds
        for net in problem.nets:
            if net.producer in units:
                if net.export and (any(device_of[c] != device for c in net.consumers) or (net.to_host and device != problem.host)):
                    lasts += net.export[device]
                continue
            if not units & set(net.consumers):
                continue
            if net.producer >= 0 and net.producer not in ended:
                return None
            made = ended.get(net.producer, 0.0)
            source = device_of.get(net.producer, problem.host)
            starts = max(starts, made)
            if source != device:
                seconds = net.seconds[source][device]
                if seconds is None:
                    return None
                if device in problem.parallel:
                    copied += seconds if (net.tensor, device) not in there else 0.0
                    there[net.tensor, device] = made + seconds
                    starts = max(starts, made + seconds)
                elif (net.tensor, device) not in there:
                    there[net.tensor, device] = made
                    lasts += seconds
        free[device] = max(free[device], starts + lasts)
        busy[device] += lasts
        for unit in units:
            ended[unit] = starts + lasts
    last = max(free.values())
    outputs = []
    for net in problem.nets:
        if net.to_host and net.producer >= 0 and device_of[net.producer] != problem.host and (net.tensor, problem.host) not in there:
            seconds = net.seconds[device_of[net.producer]][problem.host]
            if seconds is None:
                return None
            outputs.append((ended[net.producer], seconds))
    at = free[problem.host]
    for made, seconds in sorted(outputs):
        if problem.host in problem.parallel:
            last, copied = max(last, made + seconds), copied + seconds
        else:
            at = max(at, made) + seconds
            busy[problem.host] += seconds
    last = max(last, at)
    return Busy(last, max((s for d, s in busy.items() if d not in problem.parallel), default=0.0), sum(busy.values()) + copied)


def all_orders(problem: Problem) -> Iterator[Order]:
    """Every way to cut every assignment into pieces, in every order that differs on some device; limits kept."""
    count = len(problem.units)
    for devices in product(range(len(problem.devices)), repeat=count):
        if any(problem.units[u].seconds[d] is None for u, d in enumerate(devices)) or not _allowed(problem, devices):
            continue
        for blocks in _partitions(list(range(count))):
            if any(len({devices[u] for u in block}) > 1 for block in blocks):
                continue
            if any(devices[block[0]] in problem.parallel and len(block) > 1 for block in blocks):
                continue
            pieces = [(devices[block[0]], frozenset(block)) for block in blocks]
            if all(_few_enough(problem, d, sum(device == d for device, _ in pieces)) for d in set(devices)):
                yield from permutations(pieces)


def _few_enough(problem: Problem, device: int, count: int) -> bool:
    most = problem.most_pieces[device] if device < len(problem.most_pieces) else None
    return most is None or count <= most


def _allowed(problem: Problem, devices: Sequence[int]) -> bool:
    for room in problem.rooms:
        if sum(unit.weight_bytes for unit, d in zip(problem.units, devices, strict=True) if d in room.devices) > room.bytes:
            return False
    return all(len({devices[u] for u in units}) == 1 for units in problem.together)


def _partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, *rest = items
    for blocks in _partitions(rest):
        yield [[first], *blocks]
        for k, block in enumerate(blocks):
            yield [*blocks[:k], [first, *block], *blocks[k + 1 :]]
