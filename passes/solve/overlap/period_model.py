"""The shortest period of pipelined requests: while one request is on one device, the next ones are on the others, so the period is the
largest load of any device.

A device's load for one request is what its pieces last (`slots.py`): dispatch, handoffs of what it reads, its units, and what leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..cp_sat import Sum
from ..problem import Problem
from .slots import Place, Slots
from .staged import Staged

RESOLUTION = 1 << 24
"""Ticks of the best known period."""


def search_period(problem: Problem, slots: Slots, known: Place, stages: Sequence[int], seconds: float) -> tuple[Place, float]:
    """The place of the shortest period with these stages (a device each) within `seconds` of CP-SAT's deterministic clock, and what no
    place with these stages can beat; `known` is a place to start from."""
    upper = slots.period(known)
    staged = Staged(problem, stages, RESOLUTION / upper)
    period = staged.model.whole(0, RESOLUTION)
    for device, load in _loads(staged).items():
        if device not in problem.parallel:
            staged.model.at_least(Sum([period]).plus(load, -1), 0)
    staged.model.minimise(Sum([period]))
    staged.hint(slots, known)
    answer = staged.model.solve(seconds)
    if answer is None:
        return known, 0.0
    return min(known, staged.place(slots, answer), key=slots.period), answer.bound * upper / RESOLUTION


def _loads(staged: Staged) -> dict[int, Sum]:
    """Per device what its pieces last."""
    problem, loads = staged.problem, {device: Sum() for device in range(len(staged.problem.devices))}
    for device, used in staged.used:
        loads[device].add(used, staged.counted(problem.dispatch[device]))
    for unit, picks in zip(problem.units, staged.terms.picks, strict=True):
        for device, each in picks.items():
            for option, pick in zip(unit.on(device), each, strict=True):
                loads[device].plus(pick, staged.counted(option.seconds))
    for flow, seconds, device in staged.terms.flows:
        loads[device].add(flow, staged.counted(seconds))
    return loads
