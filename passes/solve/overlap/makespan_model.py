"""The least time with overlap, by CP-SAT: stages (`staged.py`) on a time axis.

    start[k] + load[k] <= end[k]                   what a piece lasts: dispatch, units, first handoffs, exports
    end[j] <= start[k]                             for stages j < k of one device
    unit u at stage k  =>  end[k] <= done[u]       and  done[u] <= start[k]  where a reader of u is at k and u is not

A unit of a parallel device has no stage's time but its own; handoffs to such a device are left out, so that with them the model's time is a
bound and `slots.py` has the last word. Outputs that the host fetches after its last piece follow each other in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ..cp_sat import TRUE, Sum
from ..problem import Net, Problem
from ..terms import sharing
from .bounds import earliest_ends, load_bound, path_bound
from .slots import Place, Slots
from .staged import Staged

RESOLUTION = 1 << 22
"""Ticks of the best known time."""


def search_makespan(problem: Problem, slots: Slots, known: Place, stages: Sequence[int], seconds: float) -> tuple[Place, float]:
    """The place of the least time with these stages (a device each) within `seconds` of CP-SAT's deterministic clock, and
    what no place with these stages can beat; `known` is a place to start from."""
    upper = slots.seconds(known)
    staged = Staged(problem, stages, RESOLUTION / upper)
    staged.model.minimise(Sum([_Times(staged).last]))
    staged.hint(slots, known)
    answer = staged.model.solve(seconds)
    if answer is None:
        return known, 0.0
    return min(known, staged.place(slots, answer), key=slots.seconds), answer.bound * upper / RESOLUTION


class _Times:
    def __init__(self, staged: Staged) -> None:
        self.staged, self.model, stages = staged, staged.model, staged.stages
        problem = staged.problem
        self.serial = [k for k, device in enumerate(stages) if device not in problem.parallel]
        self.last = self.model.whole(staged.counted(max(path_bound(problem), load_bound(problem))), RESOLUTION)
        self.start = [self.model.whole(0, RESOLUTION) for _ in stages]
        self.end = [self.model.whole(0, RESOLUTION) for _ in stages]
        self.load = [Sum() for _ in stages]
        for k in self.serial:
            device, used = staged.used[k]
            self.load[k].add(used, staged.counted(problem.dispatch[device]))
        for u in range(len(problem.units)):
            self._compute(u)
        self.done = [self.model.whole(staged.counted(min(row)), RESOLUTION) for row in earliest_ends(problem)]
        self._order()
        for net in problem.nets:
            self._wait(net)
            self._imports(net)
            self._exports(net)
        for k in self.serial:
            self._before(Sum([self.start[k]]).plus(self.load[k]), self.end[k])
            self._before(Sum([self.end[k]]), self.last)
        for device in {stages[k] for k in self.serial}:
            whole = Sum()
            for k in self.serial:
                whole.plus(self.load[k] if stages[k] == device else Sum())
            self._before(whole, self.last)
        self._fetch_all()

    def _before(self, early: Sum, late: int, when: Sequence[int] = ()) -> None:
        self.model.at_least(Sum([late]).plus(early, -1), 0, when)

    def _compute(self, u: int) -> None:
        """The unit's seconds, at its stage; where it has options, a literal says for each stage which of them runs there."""
        staged = self.staged
        for device, picks in staged.terms.picks[u].items():
            options = staged.problem.units[u].on(device)
            here = [k for k in self.serial if staged.stages[k] == device]
            if not here:
                continue
            if len(options) == 1:
                for k in here:
                    self.load[k].plus(staged.at(u, k), staged.counted(options[0].seconds))
                continue
            runs = [[self.model.boolean() for _ in options] for _ in here]
            for k, row in zip(here, runs, strict=True):
                self.model.between(0, Sum(row).plus(staged.at(u, k), -1), 0)
                for option, literal in zip(options, row, strict=True):
                    self.load[k].add(literal, staged.counted(option.seconds))
            for pick, column in zip(picks, zip(*runs, strict=True), strict=True):
                self.model.between(0, Sum(column).plus(pick, -1), 0)

    def _order(self) -> None:
        """Stages of a device one after the other, and when units are done."""
        latest: dict[int, int] = {}
        for k in self.serial:
            device = self.staged.stages[k]
            if device in latest:
                self._before(Sum([self.end[latest[device]]]), self.start[k])
            latest[device] = k
        for u in range(len(self.done)):
            self._before(Sum([self.done[u]]), self.last)
            for k in self._able(u):
                if k in self.serial:
                    self._before(Sum([self.end[k]]), self.done[u], self._at(u, k))
                else:
                    self._before(self._alone(u, k), self.done[u], self._at(u, k))

    def _wait(self, net: Net) -> None:
        """A reader's stage starts when the tensor is made, unless the same stage makes it (which is never after the reader's)."""
        if net.producer < 0:
            return
        made, done = self.staged.reached[net.producer], Sum([self.done[net.producer]])
        for consumer in net.consumers:
            for k in self._able(consumer):
                if k in self.serial:
                    self._before(done, self.start[k], (*self._at(consumer, k), ~made[k]))
                else:
                    self._before(self._alone(consumer, k).plus(done), self.done[consumer], self._at(consumer, k))

    def _able(self, unit: int) -> list[int]:
        """Stages in which the unit can be."""
        return [k for k, device in enumerate(self.staged.stages) if self.staged.problem.units[unit].seconds[device] is not None]

    def _at(self, unit: int, stage: int) -> tuple[int, int]:
        """Literals that are true where the unit is at that stage."""
        marks = self.staged.reached[unit]
        return marks[stage], ~marks[stage + 1]

    def _alone(self, unit: int, stage: int) -> Sum:
        """What a unit of a parallel device lasts: with its fastest option at least."""
        problem, device, found = self.staged.problem, self.staged.stages[stage], Sum()
        fastest = min(option.seconds for option in problem.units[unit].on(device))
        found.constant = self.staged.counted(fastest + problem.dispatch[device])
        return found

    def _imports(self, net: Net) -> None:
        """The first stage of a device with a reader pays the handoff, at the price of where the tensor is made."""
        staged, problem = self.staged, self.staged.problem
        source = {problem.host: Sum([TRUE])} if net.producer < 0 else staged.on[net.producer]
        for there in sorted({staged.stages[k] for k in self.serial}):
            readers = [c for c in net.consumers if problem.units[c].seconds[there] is not None]
            shares = sharing(net, source, there)
            complete = sum(map(len, shares.values())) == len(source.keys() - {there})
            if readers and not (complete and not any(map(staged.counted, shares))):
                self._import(there, readers, source.get(there, Sum()), shares)

    def _import(self, there: int, readers: Sequence[int], made_there: Sum, shares: dict[float, list[Sum]]) -> None:
        staged, model = self.staged, self.model
        brought = Sum().plus(made_there)
        paid = {seconds: Sum() for seconds in shares}
        for k in (k for k, device in enumerate(staged.stages) if device == there):
            inside, pays = Sum(), Sum()
            for seconds in shares:
                share = model.boolean()
                self.load[k].add(share, staged.counted(seconds))
                brought.add(share, 1)
                pays.add(share, 1)
                paid[seconds].add(share, 1)
            for reader in readers:
                at = staged.at(reader, k)
                inside.plus(at)
                model.at_least(Sum().plus(brought).plus(at, -1), 0)
            model.at_least(inside.plus(pays, -1), 0)
        for seconds, presents in shares.items():
            limit = Sum()
            for present in presents:
                limit.plus(present)
            model.at_least(limit.plus(paid[seconds], -1), 0)

    def _exports(self, net: Net) -> None:
        staged, problem = self.staged, self.staged.problem
        if net.producer < 0 or not net.export:
            return
        for k in self.serial:
            device = staged.stages[k]
            ticks = staged.counted(net.export[device])
            if not ticks or problem.units[net.producer].seconds[device] is None:
                continue
            left, here = self.model.boolean(), staged.at(net.producer, k)
            self.load[k].add(left, ticks)
            elsewhere = [staged.on[consumer].get(device, Sum()) for consumer in net.consumers]
            for other in [*elsewhere, *([Sum()] if net.to_host and device != problem.host else [])]:
                self.model.at_least(Sum([left]).plus(here, -1).plus(other), 0)

    def _fetch_all(self) -> None:
        """Outputs that no piece of the host reads."""
        problem, stages = self.staged.problem, self.staged.stages
        outputs = [net for net in problem.nets if net.to_host and net.producer >= 0]
        lasts = [self._fetch(net) for net in outputs]
        ends = [self.model.whole(0, RESOLUTION) for _ in outputs]
        for net, lasting, end in zip(outputs, lasts, ends, strict=True):
            self._before(Sum([self.done[net.producer]]).plus(lasting), end)
            self._before(Sum([end]), self.last)
            for k in self.serial:
                if stages[k] == problem.host:
                    self._before(Sum([self.end[k]]).plus(lasting), end)
        if problem.host in problem.parallel:
            return
        for (a, first), (b, second) in combinations(list(zip(ends, lasts, strict=True)), 2):
            order = self.model.boolean()
            self._before(Sum([a]).plus(second), b, (order,))
            self._before(Sum([b]).plus(first), a, (~order,))

    def _fetch(self, net: Net) -> Sum:
        """What the host spends on the tensor after its last piece."""
        staged, host = self.staged, self.staged.problem.host
        lasting = Sum()
        for device, present in staged.on[net.producer].items():
            seconds = net.seconds[device][host]
            if device == host or seconds == 0:
                continue
            fetched = self.model.boolean()
            row = Sum([fetched]).plus(present, -1)
            for consumer in net.consumers:
                row.plus(staged.on[consumer].get(host, Sum()))
            self.model.at_least(row, 0)
            if seconds is None:
                self.model.at_most(Sum([fetched]), 0)
            else:
                lasting.add(fetched, staged.counted(seconds))
        return lasting
