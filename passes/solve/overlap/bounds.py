"""What no plan can beat when devices work at once: the longest path, and the loads.

Path: where unit u is on device d, it ends no earlier than the path to it,

    end(u, d) = seconds(u, d) + max( dispatch(d), over tensors into u: min over d' of when d can read what was made on d' )

where d' != d adds the tensor's export, its handoff and a dispatch of d, since u's piece then starts after the tensor's. For a chain this
is the shortest of all plans.

Load: with weights w >= 0 of the devices that sum to 1, the largest load is at least the weighted mean of all loads, so at least

    sum over units of  min over d of  w(d) * seconds(u, d)

A parallel device weighs nothing. Good weights are found by raising those of the devices that the minima prefer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..problem import Net, Problem, Unit
from .slots import INFINITE

ROUNDS = 60


def earliest_ends(problem: Problem) -> list[list[float]]:
    """Per unit and device, when it can have run there at the earliest; infinite where the device cannot run it."""
    into: list[list[Net]] = [[] for _ in problem.units]
    for net in problem.nets:
        for consumer in net.consumers:
            into[consumer].append(net)
    ends: list[list[float]] = []
    for unit, nets in zip(problem.units, into, strict=True):
        ends.append([])
        for d, dispatch in enumerate(problem.dispatch):
            ready = max((_ready(problem, net, ends, d) for net in nets), default=0.0)
            ends[-1].append(max(ready, dispatch) + _fastest(unit, d))
    return ends


def path_bound(problem: Problem) -> float:
    """Seconds of the longest path, each unit where that path is shortest."""
    ends = earliest_ends(problem)
    last = max((min(row) for row in ends), default=0.0)
    outputs = (net for net in problem.nets if net.to_host and net.producer >= 0)
    return max([last, *(_ready(problem, net, ends, problem.host, dispatch=False) for net in outputs)])


def _ready(problem: Problem, net: Net, ends: Sequence[Sequence[float]], there: int, dispatch: bool = True) -> float:
    """When the tensor can be on a device, and a piece of that device's begun."""
    made = [0.0 if d == problem.host else INFINITE for d in range(len(problem.devices))] if net.producer < 0 else ends[net.producer]
    best = INFINITE
    for here, end in enumerate(made):
        seconds = net.seconds[here][there]
        if seconds is not None and here == there:
            best = min(best, end)
        elif seconds is not None:
            export = net.export[here] if net.export and net.producer >= 0 else 0.0
            best = min(best, end + export + seconds + dispatch * problem.dispatch[there])
    return best


def load_bound(problem: Problem) -> float:
    """Seconds that the busiest device works at least, whichever runs what."""
    serial = [d for d in range(len(problem.devices)) if d not in problem.parallel]
    every = ([_fastest(unit, d) for d in range(len(problem.devices))] for unit in problem.units)
    rows = [row for row in every if all(row[d] == INFINITE for d in problem.parallel)]
    scores, best = dict.fromkeys(serial, 0.0), 0.0
    for round_ in range(ROUNDS if rows and serial else 0):
        top = max(scores.values())
        shares = {d: math.exp(score - top) for d, score in scores.items()}
        total = sum(shares.values())
        loads = dict.fromkeys(serial, 0.0)
        bound = 0.0
        for row in rows:
            weighted, d = min((shares[d] / total * row[d], d) for d in serial)
            loads[d] += row[d]
            bound += weighted
        best = max(best, bound)
        largest = max(loads.values()) or 1.0
        for d in serial:
            scores[d] += 2.0 / (1 + round_ / 6) * (loads[d] / largest - 0.5)
    return best


def _fastest(unit: Unit, device: int) -> float:
    return min((option.seconds for option in unit.on(device)), default=INFINITE)
