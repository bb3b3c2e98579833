"""The placement problem for CP-SAT, segments included.

Every unit gets a *stage*. Stages are ordered and each belongs to one device (host, npu, gpu, host, …); a consumer's stage
is never before its producer's. So the units of one stage form a convex segment, and `dispatch` is paid once per used
stage. What a plan costs and must keep is in `terms.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .cp_sat import FALSE, TRUE, Model, Sum
from .price import price
from .problem import Problem, Unit
from .terms import TICKS, minimise, options_of, terms


@dataclass(frozen=True, slots=True)
class Found:
    """`assignment` and `options` are () where nothing was found, which `proven` says there is not."""

    assignment: tuple[int, ...]
    options: tuple[int, ...]
    bound: float
    """What no assignment with as many visits can beat, in terms of the objective."""
    proven: bool
    spent: float
    """Of CP-SAT's deterministic clock."""


def used_devices(problem: Problem) -> list[int]:
    return sorted({d for unit in problem.units for d in unit.devices})


def _stages(problem: Problem, visits: int) -> list[int]:
    """Devices in stage order: rounds over all devices, the host first and once more at the end."""
    others = [d for d in used_devices(problem) if d != problem.host]
    host = [problem.host] if problem.host in used_devices(problem) else []
    return (host + others) * max(visits, 1) + host


def search(problem: Problem, hint: tuple[Sequence[int], Sequence[int]] | None, visits: int, seconds: float) -> Found:
    """The best assignment with at most `visits` segments of each accelerator, within `seconds` of CP-SAT's deterministic clock. `hint`: an
    assignment and its options."""
    stages = _stages(problem, visits)
    model = Model()
    reached = [stage_variables(model, unit, stages) for unit in problem.units]
    on = device_expressions(problem, stages, reached)
    for consumer, producers in enumerate(problem.predecessors):
        for producer in sorted(set(producers)):
            for earlier, later in zip(reached[producer], reached[consumer], strict=True):
                model.implies(earlier, later)
    found = terms(model, problem, on, segments(model, problem, stages, reached))
    minimise(model, problem, found)
    if hint is not None:
        _hint(model, problem, stages, reached, hint)
    answer = model.solve(seconds)
    if answer is None:
        return Found((), (), 0.0, model.infeasible, model.spent)
    assignment = tuple(next(d for d, expression in choices.items() if answer.value(expression) == 1) for choices in on)
    return Found(assignment, options_of(problem, found, answer, assignment), answer.bound / TICKS, answer.proven, model.spent)


def stage_variables(model: Model, unit: Unit, stages: Sequence[int]) -> list[int]:
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


def device_expressions(problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[int]]) -> list[dict[int, Sum]]:
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


def segments(model: Model, problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """(device, literal) per stage: whether it holds a unit; with the limits on how many do."""
    found: list[tuple[int, int]] = []
    negative = any(w < 0 for bound in problem.bounds for w in bound.weights.busy)
    for k, device in enumerate(stages):
        used, inside = model.boolean(), Sum()
        found.append((device, used))
        for unit, marks in zip(problem.units, reached, strict=True):
            if unit.seconds[device] is not None:
                model.at_least_one(~marks[k], marks[k + 1], used)
                inside.plus(Sum([marks[k]])).plus(Sum([marks[k + 1]]), -1)
        if negative:  # a limit would gain from a segment that is not there
            model.at_least(inside.plus(Sum([used]), -1), 0)
    for device in set(stages):
        most = problem.piece_limit(device)
        if most is not None:
            model.at_most(Sum(used for d, used in found if d == device), most)
    if problem.most_in_all is not None:
        model.at_most(Sum(used for _, used in found), problem.most_in_all)
    return found


def _hint(
    model: Model, problem: Problem, stages: Sequence[int], reached: Sequence[Sequence[int]], hint: tuple[Sequence[int], Sequence[int]]
) -> None:
    known = price(problem, *hint)
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
