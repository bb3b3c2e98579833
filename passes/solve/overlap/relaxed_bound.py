"""Bounds on plans in which devices work at once, with any number of pieces: CP-SAT on where units are, without pieces.

A device's load is its units, handoffs and exports and one dispatch if it is used at all. For latency, a unit is also done no earlier than

    done[v] >= done[u] + seconds(v) + (its device's dispatch and the handoff, where u is on another device)

for every tensor from u to v, which is the path bound of `bounds.py` with one device a unit. Every plan satisfies all of this.
"""

from __future__ import annotations

from ..cp_sat import TRUE, Model, Sum
from ..problem import Net, Problem
from ..terms import Terms, terms

RESOLUTION = 1 << 22
"""Ticks of the best known value; times are rounded down to them."""


def relaxed_bound(problem: Problem, upper: float, ordered: bool, seconds: float) -> float:
    """What no plan's period can beat, or with `ordered` no plan's latency, found within `seconds` of CP-SAT's deterministic clock;
    `upper` is a value that is known."""
    model = _Relaxed(problem, RESOLUTION / upper)
    model.loads()
    if ordered:
        model.paths()
    model.model.minimise(Sum([model.last]))
    answer = model.model.solve(seconds)
    return 0.0 if answer is None else max(answer.bound, 0.0) * upper / RESOLUTION


class _Relaxed:
    def __init__(self, problem: Problem, ticks: float) -> None:
        self.problem, self.ticks, self.model = problem, ticks, Model()
        self.used = {device: self.model.boolean() for device in range(len(problem.devices))}
        self.on = [self._where(k) for k in range(len(problem.units))]
        self.terms: Terms = terms(self.model, problem, self.on, list(self.used.items()))
        self.last = self.model.whole(0, RESOLUTION)

    def _where(self, unit: int) -> dict[int, Sum]:
        literals = {device: self.model.boolean() for device in self.problem.units[unit].devices}
        self.model.between(1, Sum(literals.values()), 1)
        for device, literal in literals.items():
            self.model.implies(literal, self.used[device])
        return {device: Sum([literal]) for device, literal in literals.items()}

    def _counted(self, seconds: float) -> int:
        return int(seconds * self.ticks)

    def loads(self) -> None:
        found = {device: Sum([used], self._counted(self.problem.dispatch[device])) for device, used in self.used.items()}
        for unit, picks in zip(self.problem.units, self.terms.picks, strict=True):
            for device, each in picks.items():
                for option, pick in zip(unit.on(device), each, strict=True):
                    found[device].plus(pick, self._counted(option.seconds))
        for flow, seconds, device in self.terms.flows:
            found[device].add(flow, self._counted(seconds))
        for device, load in found.items():
            if device not in self.problem.parallel:
                self.model.at_least(Sum([self.last]).plus(load, -1), 0)

    def paths(self) -> None:
        done = [self.model.whole(0, RESOLUTION) for _ in self.problem.units]
        lasting = [self._lasting(k) for k in range(len(done))]
        for k, end in enumerate(done):
            first = Sum().plus(lasting[k])
            for device, here in self.on[k].items():
                first.plus(here, self._counted(self.problem.dispatch[device]))
            self.model.at_least(Sum([end]).plus(first, -1), 0)
            self.model.at_least(Sum([self.last]).plus(Sum([end]), -1), 0)
        for net in self.problem.nets:
            made = Sum() if net.producer < 0 else Sum([done[net.producer]])
            for consumer in net.consumers:
                row = Sum([done[consumer]]).plus(made, -1).plus(lasting[consumer], -1)
                self.model.at_least(row.plus(self._crossing(net, consumer), -1), 0)
            if net.to_host and net.producer >= 0:
                self.model.at_least(Sum([self.last]).plus(made, -1).plus(self._fetching(net), -1), 0)

    def _lasting(self, unit: int) -> Sum:
        found = Sum()
        for device, picks in self.terms.picks[unit].items():
            for option, pick in zip(self.problem.units[unit].on(device), picks, strict=True):
                found.plus(pick, self._counted(option.seconds))
        return found

    def _crossing(self, net: Net, consumer: int) -> Sum:
        """What lies between a tensor's units where they are on different devices: at least the cheapest way in."""
        found = Sum()
        source = {self.problem.host: Sum([TRUE])} if net.producer < 0 else self.on[net.producer]
        for there, here in self.on[consumer].items():
            ways = [
                seconds + (net.export[d] if net.export and net.producer >= 0 else 0.0)
                for d in source
                if d != there and (seconds := net.seconds[d][there]) is not None
            ]
            ticks = self._counted(min(ways, default=0.0) + self.problem.dispatch[there])
            if ticks and ways:
                crosses = self.model.boolean()
                self.model.at_least(Sum([crosses]).plus(here, -1).plus(source.get(there, Sum())), 0)
                found.add(crosses, ticks)
        return found

    def _fetching(self, net: Net) -> Sum:
        """How long the host takes to fetch an output from where it is made."""
        found, host = Sum(), self.problem.host
        for device, here in self.on[net.producer].items():
            if device != host and (seconds := net.seconds[device][host]):
                found.plus(here, self._counted(seconds + (net.export[device] if net.export else 0.0)))
        return found
