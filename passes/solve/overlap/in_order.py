"""Places that fill one device after the other in topological order: what annealing cannot reach in few steps on large graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..problem import Problem
from .slots import Place, Slots


def in_order(problem: Problem, slots: Slots) -> Iterator[Place]:
    """For every number of devices but the host, the units cut into runs of equal time, shorter where a memory is full; what is left, or a
    device cannot run, is the host's. Units that are together go where the first of them is, or the last."""
    others = [d for d in range(len(problem.devices)) if d != problem.host and slots.of[d]]
    for count in range(1, len(others) + 1):
        cut = _filled(problem, others[:count])
        for pick in (min, max):
            devices = list(cut)
            for units in problem.together:
                same = cut[pick(units)]
                able = all(problem.units[unit].seconds[same] is not None for unit in units)
                for unit in units:
                    devices[unit] = same if able else problem.host
            if all(unit.seconds[d] is not None and slots.of[d] for unit, d in zip(problem.units, devices, strict=True)):
                yield Place(tuple(slots.slot(unit, d) for unit, d in enumerate(devices)), (0,) * len(devices))


def _filled(problem: Problem, devices: Sequence[int]) -> list[int]:
    share = sum(unit.fastest for unit in problem.units) / len(devices)
    found, at, busy = [], 0, 0.0
    held = [0] * len(problem.rooms)
    for unit in problem.units:
        device = devices[at] if at < len(devices) else problem.host
        full = any(device in room.devices and held[k] + unit.weight_bytes > room.bytes for k, room in enumerate(problem.rooms))
        if at < len(devices) and (full or busy >= share):
            at, busy = at + 1, 0.0
            device = devices[at] if at < len(devices) else problem.host
        if unit.seconds[device] is None:
            device = problem.host
        busy += unit.seconds[device] or 0.0
        for k, room in enumerate(problem.rooms):
            held[k] += unit.weight_bytes if device in room.devices else 0
        found.append(device)
    return found
