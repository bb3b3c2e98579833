"""The placement problem for CP-SAT, segments included.

Every unit gets a *stage*. Stages are ordered and each belongs to one device (host, npu, gpu, host, …); a consumer's stage
is never before its producer's. So the units of one stage form a convex segment, and `dispatch` is paid once per used
stage. Tensors cross devices by the flow linearisation: y[u,a,b] <= x[u,a], and sum_a y[u,a,b] >= x[v,b] for each consumer v;
y is paid once, which is copy-once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .placement import Problem, Unit, price

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

TICKS = 1e9
"""CP-SAT counts in integers: nanoseconds."""


@dataclass(frozen=True, slots=True)
class Found:
    assignment: tuple[int, ...]
    bound: float
    """Seconds no assignment with as many visits can beat."""
    proven: bool


def used_devices(problem: Problem) -> list[int]:
    return sorted({d for unit in problem.units for d in unit.devices})


def _stages(problem: Problem, visits: int) -> list[int]:
    """Devices in stage order: rounds over all devices, the host first and once more at the end."""
    others = [d for d in used_devices(problem) if d != problem.host]
    host = [problem.host] if problem.host in used_devices(problem) else []
    return (host + others) * max(visits, 1) + host


def search(problem: Problem, hint: Sequence[int] | None, visits: int, seconds: float) -> Found | None:
    """The best assignment with at most `visits` segments of each accelerator, within `seconds` of CP-SAT's deterministic clock."""
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
    parameters.cp_model_probing_level = 0  # bounds have fixed what probing would find; it costs as much as the search
    parameters.max_deterministic_time = seconds
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    assignment = tuple(next(d for d, e in choices.items() if round(solver.value(e)) == 1) for choices in on)
    return Found(assignment, solver.best_objective_bound / TICKS, status == cp_model.OPTIMAL)


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
        source: Mapping[int, cp_model.LinearExpr | int] = {problem.host: 1} if net.producer < 0 else on[net.producer]
        wanted: dict[int, list[cp_model.LinearExpr | int]] = {}
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
            for needed in expressions:
                model.add(sum(flows) + source.get(there, 0) >= needed)
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
