"""The placement problem for CP-SAT, segments included.

Every unit gets a *stage*. Stages are ordered and each belongs to one device (host, npu, gpu, host, …); a consumer's stage
is never before its producer's. So the units of one stage form a convex segment, and `dispatch` is paid once per used
stage. Tensors cross devices by the flow linearisation: y[u,a,b] <= x[u,a], and sum_a y[u,a,b] >= x[v,b] for each consumer v;
y is paid once, which is copy-once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .cp_sat import FALSE, TRUE, Model, Sum
from .problem import Problem, Unit, price

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
    stages = _stages(problem, visits)
    model = Model()
    reached = [_stage_variables(model, unit, stages) for unit in problem.units]
    on = _device_expressions(problem, stages, reached)
    for consumer, producers in enumerate(problem.predecessors):
        for producer in sorted(set(producers)):
            for earlier, later in zip(reached[producer], reached[consumer], strict=True):
                model.implies(earlier, later)
    total = _dispatch_terms(model, problem, stages, reached)
    total.plus(_compute_terms(problem, on)).plus(_handoff_terms(model, problem, on))
    model.minimise(total)
    for room in problem.rooms:
        filled = Sum()
        for k, unit in enumerate(problem.units):
            for device in room.devices:
                if device in on[k]:
                    filled.plus(on[k][device], unit.weight_bytes)
        model.at_most(filled, room.bytes)
    if hint is not None:
        _hint(model, problem, stages, reached, hint)
    answer = model.solve(seconds)
    if answer is None:
        return None
    assignment = tuple(next(d for d, expression in choices.items() if answer.value(expression) == 1) for choices in on)
    return Found(assignment, answer.bound / TICKS, answer.proven)


def _stage_variables(model: Model, unit: Unit, stages: Sequence[int]) -> list[int]:
    """reached[k] is true when the unit's stage is >= k (order encoding); a stage whose device cannot run the unit repeats the next
    one's literal, so it can never be the unit's own."""
    reached = [FALSE] * (len(stages) + 1)
    first = True
    for k in range(len(stages) - 1, -1, -1):
        if unit.seconds[stages[k]] is None:
            reached[k] = reached[k + 1]
        else:
            earliest = all(unit.seconds[stages[j]] is None for j in range(k))
            reached[k] = TRUE if earliest else model.boolean()
            if not first and not earliest:
                model.implies(reached[k + 1], reached[k])
            first = False
    return reached


def _device_expressions(problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[int]]) -> list[dict[int, Sum]]:
    """For every unit, device -> expression that is 1 when the unit is there."""
    expressions = []
    for unit, marks in zip(problem.units, reached, strict=True):
        choices = {device: Sum() for device in unit.devices}
        for k, device in enumerate(stages):
            if device in choices:
                choices[device].add(marks[k], 1)
                choices[device].add(marks[k + 1], -1)
        expressions.append(choices)
    return expressions


def _ticks(seconds: float) -> int:
    return round(seconds * TICKS)


def _dispatch_terms(model: Model, problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[int]]) -> Sum:
    total = Sum()
    uses: dict[int, list[int]] = {}
    for k, device in enumerate(stages):
        used = model.boolean()
        uses.setdefault(device, []).append(used)
        for unit, marks in zip(problem.units, reached, strict=True):
            if unit.seconds[device] is not None:
                model.at_least_one(~marks[k], marks[k + 1], used)
        total.add(used, _ticks(problem.dispatch[device]))
    for device, marks_used in uses.items():
        most = problem.piece_limit(device)
        if most is not None:
            model.at_most(Sum(marks_used), most)
    return total


def _compute_terms(problem: Problem, on: Sequence[dict[int, Sum]]) -> Sum:
    total = Sum()
    for unit, choices in zip(problem.units, on, strict=True):
        for device, expression in choices.items():
            total.plus(expression, _ticks(unit.seconds[device] or 0.0))
    return total


def _handoff_terms(model: Model, problem: Problem, on: Sequence[dict[int, Sum]]) -> Sum:
    total, here_always = Sum(), Sum([TRUE])
    for net in problem.nets:
        source: Mapping[int, Sum] = {problem.host: here_always} if net.producer < 0 else on[net.producer]
        wanted: dict[int, list[Sum]] = {}
        for consumer in net.consumers:
            for device, expression in on[consumer].items():
                wanted.setdefault(device, []).append(expression)
        if net.to_host:
            wanted.setdefault(problem.host, []).append(here_always)
        for there, expressions in wanted.items():
            flows = []
            for here, present in source.items():
                seconds = net.seconds[here][there]
                if here == there or seconds is None:
                    continue
                flow = model.boolean()
                model.at_least(Sum().plus(present).plus(Sum([flow]), -1), 0)
                flows.append(flow)
                total.add(flow, _ticks(seconds))
            for needed in expressions:
                model.at_least(Sum(flows).plus(source.get(there, Sum())).plus(needed, -1), 0)
    return total


def _hint(model: Model, problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[int]], hint: Sequence[int]) -> None:
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
    values: dict[int, bool] = {}
    for unit, marks in enumerate(reached):
        for k, mark in enumerate(marks):
            if mark not in (TRUE, FALSE):
                values.setdefault(mark, stage_of[unit] >= k)
    model.hint(values)
