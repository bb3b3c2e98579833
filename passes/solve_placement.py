"""The exact choice of a device for every unit, with segments, by CP-SAT.

Every unit gets a *stage*. Stages are ordered and each belongs to one device (host, npu, gpu, host, …); a consumer's stage
is never before its producer's. So the units of one stage form a convex segment, and `dispatch` is paid once per used
stage. Tensors cross devices by the flow linearisation: y[u,a,b] <= x[u,a], and sum_a y[u,a,b] >= x[v,b] for each consumer v;
y is paid once, which is copy-once.

How many stages a better plan can use is bounded first: a plan cheaper than the best known one, U, pays at least L, the sum
of fastest times, so it has at most (U - L) / dispatch segments of a device; the same bound rules out single choices
(reduced-cost fixing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .placement import Price, Problem, Unit, price

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

MAX_VISITS = 4
"""Visits of each device the first attempt allows; doubled while a solution uses them all and more could pay."""
DETERMINISTIC_SECONDS = 6.0
"""CP-SAT's own deterministic clock, so that two machines stop at the same point."""
TICKS = 1e9
"""CP-SAT counts in integers: nanoseconds."""


@dataclass(frozen=True, slots=True)
class Solution:
    """An assignment with its exact price, and what the solver proved about it."""

    assignment: tuple[int, ...]
    price: Price
    lower_bound: float
    """Seconds no assignment of this problem can beat."""
    proven: bool
    """Whether the assignment is optimal (within the visits allowed)."""
    visits: int
    """Segments per device that were allowed; 0 where no search was needed."""

    @property
    def gap(self) -> float:
        """(cost - bound) / cost, 0 for a proven optimum."""
        return 0.0 if self.proven or self.price.total == 0 else max(0.0, 1 - self.lower_bound / self.price.total)


def solve(problem: Problem, starts: Sequence[Sequence[int]]) -> Solution | None:
    """The cheapest assignment. `starts` are known assignments (greedy, all on the host …), the best of which warm-starts the
    search. None if no assignment is possible."""
    known = [(p.total, tuple(s), p) for s in starts if (p := price(problem, s)) is not None]
    best = min(known, key=lambda item: item[0], default=None)
    floor = sum(unit.fastest for unit in problem.units)
    if best is None:
        return _search(problem, None, MAX_VISITS, floor)
    reduced = _fix(problem, best[0], floor)
    most = max((_visits(problem, d, best[0], floor) for d in _used(reduced) if d != problem.host), default=0)
    if all(len(unit.devices) == 1 for unit in reduced.units) or most == 0 and len(_used(reduced)) == 1:
        only = tuple(unit.devices[0] for unit in reduced.units)
        found = price(problem, only)
        if found is not None and found.total < best[0]:
            return Solution(only, found, found.total, True, 0)
        return Solution(best[1], best[2], best[0], True, 0)
    visits = min(most + 1, MAX_VISITS)
    solution = _search(reduced, best[1], visits, floor) or Solution(best[1], best[2], floor, False, visits)
    while solution.proven and visits <= most and _exhausted(solution, visits):
        visits *= 2
        wider = _search(reduced, solution.assignment, visits, floor)
        if wider is None or not wider.proven:
            return replace(solution, proven=False, lower_bound=floor)
        solution = wider
    exact = price(problem, solution.assignment)
    if exact is None or exact.total > best[0]:
        return Solution(best[1], best[2], solution.lower_bound, solution.proven, visits)
    return replace(solution, price=exact)


def _fix(problem: Problem, upper: float, floor: float) -> Problem:
    """Without the choices that no plan cheaper than `upper` can contain."""

    def keeps(unit: Unit, device: int) -> bool:
        seconds = unit.seconds[device]
        if seconds is None:
            return False
        return floor - unit.fastest + seconds + problem.dispatch[device] <= upper * (1 + 1e-12) + 1e-12

    units = []
    for unit in problem.units:
        kept = tuple(s if keeps(unit, d) else None for d, s in enumerate(unit.seconds))
        units.append(replace(unit, seconds=kept) if any(s is not None for s in kept) else unit)
    return replace(problem, units=tuple(units))


def _used(problem: Problem) -> list[int]:
    return sorted({d for unit in problem.units for d in unit.devices})


def _visits(problem: Problem, device: int, upper: float, floor: float) -> int:
    """The most segments of a device that a plan cheaper than `upper` can have."""
    dispatch = problem.dispatch[device]
    return len(problem.units) if dispatch <= 0 else min(len(problem.units), int((upper - floor) / dispatch + 1e-9))


def _exhausted(solution: Solution, visits: int) -> bool:
    counts: dict[int, int] = {}
    for piece in solution.price.pieces:
        counts[piece.device] = counts.get(piece.device, 0) + 1
    return max(counts.values(), default=0) >= visits


def _stages(problem: Problem, visits: int) -> list[int]:
    """Devices in stage order: rounds over all devices, the host first and once more at the end."""
    others = [d for d in _used(problem) if d != problem.host]
    host = [problem.host] if problem.host in _used(problem) else []
    return (host + others) * max(visits, 1) + host


def _search(problem: Problem, hint: Sequence[int] | None, visits: int, floor: float) -> Solution | None:
    from ortools.sat.python import cp_model

    stages = _stages(problem, visits)
    model = cp_model.CpModel()
    reached = [_stage_variables(model, unit, stages) for unit in problem.units]
    on = _device_expressions(problem, stages, reached)
    for consumer, producers in enumerate(problem.predecessors):
        for producer in sorted(set(producers)):
            for earlier, later in zip(reached[producer], reached[consumer], strict=True):
                model.add_implication(earlier, later)
    terms = [*_dispatch_terms(model, problem, stages, reached), *_compute_terms(problem, on), *_handoff_terms(model, problem, on)]
    for room in problem.rooms:
        model.add(sum(u.weight_bytes * on[k][d] for k, u in enumerate(problem.units) for d in room.devices if d in on[k]) <= room.bytes)
    model.minimize(sum(terms))
    if hint is not None:
        _hint(model, problem, stages, reached, hint)
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.num_workers, parameters.random_seed, parameters.linearization_level = 1, 1, 2
    parameters.max_deterministic_time = DETERMINISTIC_SECONDS
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    assignment = tuple(next(d for d, e in choices.items() if round(solver.value(e)) == 1) for choices in on)
    found = price(problem, assignment)
    if found is None:
        return None
    bound = max(floor, solver.best_objective_bound / TICKS)
    return Solution(assignment, found, min(bound, found.total), status == cp_model.OPTIMAL, visits)


def _stage_variables(model: cp_model.CpModel, unit: Unit, stages: Sequence[int]) -> list[cp_model.IntVar]:
    """reached[k] is true when the unit's stage is >= k (order encoding); a stage whose device cannot run the unit repeats the next
    one's variable, so it can never be the unit's own."""
    one, zero = model.new_constant(1), model.new_constant(0)
    reached = [zero] * (len(stages) + 1)
    first = True
    for k in range(len(stages) - 1, -1, -1):
        if unit.seconds[stages[k]] is None:
            reached[k] = reached[k + 1]
        else:
            earliest = all(unit.seconds[stages[j]] is None for j in range(k))
            reached[k] = one if earliest else model.new_bool_var("")
            if not first and not earliest:
                model.add_implication(reached[k + 1], reached[k])
            first = False
    return reached


def _device_expressions(
    problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[cp_model.IntVar]]
) -> list[dict[int, cp_model.LinearExpr]]:
    """For every unit, device -> expression that is 1 when the unit is there."""
    expressions = []
    for unit, marks in zip(problem.units, reached, strict=True):
        choices: dict[int, cp_model.LinearExpr] = {}
        for device in unit.devices:
            choices[device] = sum(marks[k] - marks[k + 1] for k, d in enumerate(stages) if d == device)  # type: ignore[assignment]
        expressions.append(choices)
    return expressions


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS)


def _dispatch_terms(
    model: cp_model.CpModel, problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[cp_model.IntVar]]
) -> list[cp_model.LinearExpr]:
    terms = []
    uses: dict[int, list[cp_model.IntVar]] = {}
    for k, device in enumerate(stages):
        used = model.new_bool_var("")
        uses.setdefault(device, []).append(used)
        for unit, marks in zip(problem.units, reached, strict=True):
            if unit.seconds[device] is not None:
                model.add_bool_or(marks[k].negated(), marks[k + 1], used)
        terms.append(_ticks(problem.dispatch[device]) * used)
    for device, marks_used in uses.items():
        most = problem.piece_limit(device)
        if most is not None:
            model.add(sum(marks_used) <= most)
    return terms


def _compute_terms(problem: Problem, on: Sequence[dict[int, cp_model.LinearExpr]]) -> list[cp_model.LinearExpr]:
    return [_ticks(unit.seconds[d] or 0.0) * e for unit, choices in zip(problem.units, on, strict=True) for d, e in choices.items()]


def _handoff_terms(model: cp_model.CpModel, problem: Problem, on: Sequence[dict[int, cp_model.LinearExpr]]) -> list[cp_model.LinearExpr]:
    terms: list[cp_model.LinearExpr] = []
    for net in problem.nets:
        source = {problem.host: 1} if net.producer < 0 else on[net.producer]
        wanted: dict[int, list[object]] = {}
        for consumer in net.consumers:
            for device, expression in on[consumer].items():
                wanted.setdefault(device, []).append(expression)
        if net.to_host:
            wanted.setdefault(problem.host, []).append(1)
        for there, expressions in wanted.items():
            flows = []
            for here, present in source.items():
                seconds = net.seconds[here][there]
                if here == there or seconds is None:
                    continue
                flow = model.new_bool_var("")
                model.add(flow <= present)
                flows.append(flow)
                terms.append(_ticks(seconds) * flow)
            for expression in expressions:
                model.add(sum(flows) + source.get(there, 0) >= expression)
    return terms


def _hint(
    model: cp_model.CpModel, problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[cp_model.IntVar]], hint: Sequence[int]
) -> None:
    known = price(problem, hint)
    if known is None:
        return
    stage_of: dict[int, int] = {}
    at = 0
    for piece in known.pieces:
        while at < len(stages) and stages[at] != piece.device:
            at += 1
        if at == len(stages):
            return
        stage_of.update(dict.fromkeys(piece.units, at))
    hinted: set[int] = set()
    for unit, marks in enumerate(reached):
        for k, mark in enumerate(marks):
            if mark.index not in hinted:
                hinted.add(mark.index)
                model.add_hint(mark, stage_of[unit] >= k)
