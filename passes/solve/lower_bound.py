"""A lower bound on the placement, and good first plans, by minimum cuts.

Relaxation: all accelerators are one, with the fastest of their times, free handoffs among themselves and the cheapest link to the
host; dispatch is left out. What remains (two sides, additive times, each tensor handed over once) is a minimum s-t cut, and so is
the best plan with a given operator forced to one side. Every true plan costs at least its relaxed cut, plus one dispatch of an
accelerator if it uses one.

    cut = min over (H, A) of  sum of t_host(u) for u in H + sum of t_acc(u) for u in A + each tensor that changes sides, once a side

Sets of units that never share a segment (`separate_units.py`) may be charged a dispatch each where A meets them; that stays a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .problem import Net, Problem

TICKS = 1e10
"""Max-flow counts in integers: tenths of a nanosecond."""
INFINITE = 1 << 44


@dataclass(frozen=True, slots=True)
class CutBound:
    """`best` is the relaxed optimum in seconds, `sides[u]` true where it puts unit u on an accelerator; `forced_host[u]` and
    `forced_accelerator[u]` are the optima with that unit forced there (infinite if it cannot be there)."""

    best: float
    sides: tuple[bool, ...]
    forced_host: tuple[float, ...]
    forced_accelerator: tuple[float, ...]


def cut_bound(
    problem: Problem, accelerators: Sequence[int], forced: bool = True, charged: Sequence[Sequence[int]] = (), charge: float = 0.0
) -> CutBound:
    """The bound where units may only use the host and `accelerators`; `forced` also computes the bound of every single choice.

    Every set of units in `charged` that is not wholly on the host costs `charge` seconds more."""
    network = _Network(problem, accelerators)
    for units in charged:
        network.charge(units, charge)
    best, sides = network.solve()
    host, accelerator = [best] * len(problem.units), [best] * len(problem.units)
    for unit in range(len(problem.units) if forced and sides else 0):
        (host if sides[unit] else accelerator)[unit] = network.forced(unit, not sides[unit])
    return CutBound(best, sides, tuple(host), tuple(accelerator))


class _Network:
    """Source side: host. Sink side: accelerator. An arc is cut when its tail is on the host's side and its head is not."""

    def __init__(self, problem: Problem, accelerators: Sequence[int]) -> None:
        self.problem, self.accelerators = problem, accelerators
        self.count = len(problem.units)
        self.source, self.sink = self.count, self.count + 1
        self.nodes = self.count + 2
        self.arcs: list[tuple[int, int, int]] = []
        for k, unit in enumerate(problem.units):
            here = unit.seconds[problem.host]
            there = min((s for d in accelerators if (s := unit.seconds[d]) is not None), default=None)
            self.arcs.append((self.source, k, INFINITE if there is None else _ticks(there)))
            self.arcs.append((k, self.sink, INFINITE if here is None else _ticks(here)))
        for net in problem.nets:
            self._net(net)

    def _net(self, net: Net) -> None:
        host, producer = self.problem.host, self.source if net.producer < 0 else net.producer
        down = min((s for d in self.accelerators if (s := net.seconds[host][d]) is not None), default=None)
        up = min((s for d in self.accelerators if (s := net.seconds[d][host]) is not None), default=None)
        if net.consumers and (down is None or down > 0):
            gate = self._gate()
            self.arcs.append((producer, gate, INFINITE if down is None else _ticks(down)))
            self.arcs.extend((gate, consumer, INFINITE) for consumer in net.consumers)
        if net.producer >= 0 and (up is None or up > 0):
            gate = self._gate()
            self.arcs.append((gate, producer, INFINITE if up is None else _ticks(up)))
            self.arcs.extend((consumer, gate, INFINITE) for consumer in net.consumers)
            if net.to_host:
                self.arcs.append((self.source, gate, INFINITE))

    def charge(self, units: Sequence[int], seconds: float) -> None:
        gate = self._gate()
        self.arcs.append((self.source, gate, _ticks(seconds)))
        self.arcs.extend((gate, unit, INFINITE) for unit in units)

    def _gate(self) -> int:
        self.nodes += 1
        return self.nodes - 1

    def solve(self) -> tuple[float, tuple[bool, ...]]:
        """Cost and sides of the minimum cut."""
        from ortools.graph.python import max_flow

        self.flow = max_flow.SimpleMaxFlow()
        tails, heads, capacities = (np.array(column, np.int64) for column in zip(*self.arcs, strict=True))
        self.flow.add_arcs_with_capacity(tails, heads, capacities)
        total = self._total()
        if total == float("inf"):
            return total, ()
        on_host = set(self.flow.get_source_side_min_cut())
        return total, tuple(k not in on_host for k in range(self.count))

    def forced(self, unit: int, accelerator: bool) -> float:
        """Cost of the minimum cut with one unit forced to a side: its arc of the other side made uncuttable."""
        arc = 2 * unit + (1 if accelerator else 0)
        before = self.arcs[arc][2]
        self.flow.set_arc_capacity(arc, INFINITE)
        total = self._total()
        self.flow.set_arc_capacity(arc, before)
        return total

    def _total(self) -> float:
        if self.flow.solve(self.source, self.sink) != self.flow.OPTIMAL:
            raise AssertionError("minimum cut without a solution")
        total = self.flow.optimal_flow()
        return float("inf") if total >= INFINITE else total / TICKS


def _ticks(seconds: float) -> int:
    return int(min(seconds * TICKS, INFINITE))
