"""The variables of a CP-SAT model in which pieces stand in a row: every unit has a stage; stages are ordered, and each is one device's.

reached[u][k] is true when the unit's stage is >= k (order encoding); a consumer's stage is never before its producer's, so a stage's units
are convex. Times are counted in ticks and rounded down, so that a bound in ticks holds for the exact times.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..cp_sat import FALSE, TRUE, Answer, Model, Sum
from ..problem import Problem
from ..stage_model import device_expressions, segments, stage_variables
from ..terms import options_of, terms
from .slots import Place, Slots


class Staged:
    """`stages`: the device of each; `ticks` in a second."""

    def __init__(self, problem: Problem, stages: Sequence[int], ticks: float) -> None:
        self.problem, self.stages, self.ticks, self.model = problem, stages, ticks, Model()
        self.reached = [stage_variables(self.model, unit, stages) for unit in problem.units]
        self.on = device_expressions(problem, stages, self.reached)
        for consumer, producers in enumerate(problem.predecessors):
            for producer in sorted(set(producers)):
                for earlier, later in zip(self.reached[producer], self.reached[consumer], strict=True):
                    self.model.implies(earlier, later)
        self.used = segments(self.model, problem, stages, self.reached)
        self.terms = terms(self.model, problem, self.on, self.used)

    def counted(self, seconds: float) -> int:
        """In ticks."""
        return int(seconds * self.ticks)

    def at(self, unit: int, stage: int) -> Sum:
        """1 where the unit is at that stage."""
        marks = self.reached[unit]
        return Sum([marks[stage]]).plus(Sum([marks[stage + 1]]), -1)

    def place(self, slots: Slots, answer: Answer) -> Place:
        """Where and how the answer runs the units."""
        stage_of = [next(k for k, mark in enumerate(marks[1:]) if not answer.value(Sum([mark]))) for marks in self.reached]
        used = sorted(set(stage_of))
        visit = {stage: sum(self.stages[j] == self.stages[stage] for j in used if j < stage) for stage in used}
        where = tuple(slots.slot(unit, self.stages[stage], visit[stage]) for unit, stage in enumerate(stage_of))
        return Place(where, options_of(self.problem, self.terms, answer, [self.stages[stage] for stage in stage_of]))

    def hint(self, slots: Slots, place: Place) -> None:
        """Starts the search from a place, if it has as many stages; devices that can be exchanged are, to meet the stages' order."""
        timeline = slots.timeline(place)
        kind = {d: group[0] if self.problem.piece_limit(group[0]) == 1 else d for group in _alike(self.problem) for d in group}
        stage_of: dict[int, int] = {}
        at = 0
        for run in timeline.runs if timeline else ():
            while at < len(self.stages) and kind[self.stages[at]] != kind[run.piece.device]:
                at += 1
            if at == len(self.stages):
                return
            stage_of.update(dict.fromkeys(run.piece.units, at))
            at += kind[run.piece.device] != run.piece.device or self.problem.piece_limit(run.piece.device) == 1
        values: dict[int, int] = {}
        for unit, marks in enumerate(self.reached):
            for k, mark in enumerate(marks):
                if mark not in (TRUE, FALSE):
                    values.setdefault(mark, stage_of[unit] >= k)
        self.model.hint(values)


def stage_devices(problem: Problem, visits: int) -> list[int]:
    """Devices in stage order: rounds over all of them, the host first and once more at the end. Of devices that nothing tells apart and
    that may have one piece each, every round has the next one."""
    alike = _alike(problem)
    once = [group for group in alike if len(group) > 1 and problem.piece_limit(group[0]) == 1]
    stages: list[int] = []
    for visit in range(max(visits, *(len(group) for group in once), 1)):
        for group in alike:
            if group in once:
                stages += group[visit : visit + 1]
            else:
                stages += group
    return [*stages, problem.host]


def _alike(problem: Problem) -> list[list[int]]:
    """Devices in sets whose members can be exchanged; the host alone, first."""
    groups: list[list[int]] = [[problem.host]]
    used = {d for unit in problem.units for d in unit.devices}
    for device in sorted(used - {problem.host}):
        group = next((g for g in groups[1:] if _exchangeable(problem, g[0], device)), None)
        if group is None:
            groups.append([device])
        else:
            group.append(device)
    return groups


def _exchangeable(problem: Problem, a: int, b: int) -> bool:
    swap = {a: b, b: a}
    every = range(len(problem.devices))
    if problem.dispatch[a] != problem.dispatch[b] or problem.piece_limit(a) != problem.piece_limit(b):
        return False
    if any(unit.seconds[a] != unit.seconds[b] for unit in problem.units) or (a in problem.parallel) != (b in problem.parallel):
        return False
    rooms = {(frozenset(room.devices), room.bytes) for room in problem.rooms}
    if {(frozenset(swap.get(d, d) for d in devices), size) for devices, size in rooms} != rooms:
        return False
    return all(
        (not net.export or net.export[a] == net.export[b])
        and all(net.seconds[c][d] == net.seconds[swap.get(c, c)][swap.get(d, d)] for c in every for d in (a, b))
        and all(net.seconds[c][d] == net.seconds[swap.get(c, c)][swap.get(d, d)] for c in (a, b) for d in every)
        for net in problem.nets
    )
