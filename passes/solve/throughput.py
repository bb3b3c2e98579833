"""The shortest period of pipelined requests: while one request is on one device, the next ones are on the others, so the period is the
largest load of any device.

A device's load for one request is what its pieces last (`overlap.py`): dispatch, handoffs of what it reads, its units, and what leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cp_sat import TRUE, Sum
from .overlap import Slots
from .problem import Net, Problem
from .staged import Staged

RESOLUTION = 1 << 24
"""Ticks of the best known period."""


def search_period(problem: Problem, slots: Slots, known: Sequence[int], stages: Sequence[int], seconds: float) -> tuple[list[int], float]:
    """The place of the shortest period with these stages (a device each) within `seconds` of CP-SAT's deterministic clock, and what no
    place with these stages can beat; `known` is a place to start from."""
    upper = slots.period(known)
    staged = Staged(problem, stages, RESOLUTION / upper)
    loads = _loads(staged)
    period = staged.model.whole(0, RESOLUTION)
    for device, load in loads.items():
        if device not in problem.parallel:
            staged.model.at_least(Sum([period]).plus(load, -1), 0)
    staged.model.minimise(Sum([period]))
    staged.hint(slots, known)
    answer = staged.model.solve(seconds)
    if answer is None:
        return list(known), 0.0
    return min(list(known), staged.place(slots, answer), key=slots.period), answer.bound * upper / RESOLUTION


def _loads(staged: Staged) -> dict[int, Sum]:
    """Per device what its pieces last."""
    loads = {device: Sum() for device in sorted(set(staged.stages))}
    for stage, (used, dispatch) in staged.dispatches.items():
        loads[staged.stages[stage]].add(used, dispatch)
    for unit, where in zip(staged.problem.units, staged.on, strict=True):
        for device, here in where.items():
            loads[device].plus(here, staged.counted(unit.seconds[device] or 0.0))
    for net in staged.problem.nets:
        _add_handoffs(staged, net, loads)
    return loads


def _add_handoffs(staged: Staged, net: Net, loads: dict[int, Sum]) -> None:
    problem, on = staged.problem, staged.on
    host, always = problem.host, Sum([TRUE])
    source = {host: always} if net.producer < 0 else on[net.producer]
    wanted: dict[int, list[Sum]] = {}
    for consumer in net.consumers:
        for device, here in on[consumer].items():
            wanted.setdefault(device, []).append(here)
    if net.to_host:
        wanted.setdefault(host, []).append(always)
    for there, needs in wanted.items():
        loads[there].plus(_imported(staged, net, source, there, needs))
    for here, present in source.items():
        export = staged.counted(net.export[here]) if net.export and net.producer >= 0 else 0
        if export:
            left = staged.model.boolean()
            loads[here].add(left, export)
            for consumer in net.consumers:
                staged.model.at_least(Sum([left]).plus(present, -1).plus(on[consumer].get(here, Sum())), 0)
            if net.to_host and here != host:
                staged.model.at_least(Sum([left]).plus(present, -1), 0)


def _imported(staged: Staged, net: Net, source: dict[int, Sum], there: int, needs: Sequence[Sum]) -> Sum:
    """What the tensor's handoff to a device lasts there. Sources from which it lasts as long share a literal: at least one is true where a
    consumer is there and the producer is not."""
    shares: dict[int, list[Sum]] = {}
    for here, present in source.items():
        seconds = net.seconds[here][there]
        if here != there and seconds is not None:
            shares.setdefault(staged.counted(seconds), []).append(present)
    complete = sum(map(len, shares.values())) == len(source.keys() - {there})
    load, brought = Sum(), Sum().plus(source.get(there, Sum()))
    if complete and set(shares) <= {0}:
        return load
    for ticks, presents in shares.items():
        share = staged.model.boolean()
        load.add(share, ticks)
        brought.add(share, 1)
        if not complete or len(shares) > 1:
            limit = Sum([share], -1)
            for present in presents:
                limit.plus(present)
            staged.model.at_least(limit, 0)
    for need in needs:
        staged.model.at_least(Sum().plus(brought).plus(need, -1), 0)
    return load
