"""The packing problem as a question to CP-SAT: is there a plan within a capacity?

One rectangle per buffer, sections by offsets, no two of which overlap; that the buffers of each section are apart is stated again,
section by section. Offsets are decided lowest first. The message of the solver's model format is filled directly: `cp_model`, the usual
way in, imports pandas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .depth_first import Verdict
from .restarts import Outcome
from .sections import Problem

WORK_PER_SECOND = 180_000_000
"""Member visits of the depth-first search that take as long as one second of the solver's deterministic clock."""


def ask(problem: Problem, limit: int, preference: Sequence[float], work: int, seed: int) -> Outcome:
    """A plan within `limit` bytes, looked for with what costs about `work` member visits; buffers of high preference are placed first."""
    from ortools.sat.python import cp_model_helper

    parameters = cp_model_helper.SatParameters()
    parameters.num_workers, parameters.random_seed, parameters.linearization_level = 1, seed, 0
    parameters.max_deterministic_time = work / WORK_PER_SECOND
    parameters.catch_sigint_signal = False  # or SIGINT is left at its default, and Ctrl-C kills this process from then on
    solver: Any = cp_model_helper.SolveWrapper()
    solver.set_parameters(parameters)
    response = solver.solve(_model(problem, limit, preference))
    status = cp_model_helper.CpSolverStatus
    if response.status in (status.OPTIMAL, status.FEASIBLE):
        units = [align * response.solution[i] for i, align in enumerate(problem.aligns)]
        return Outcome(Verdict.FOUND, units, work)
    verdict = Verdict.IMPOSSIBLE if response.status == status.INFEASIBLE else Verdict.STOPPED
    return Outcome(verdict, [], work)


def _model(problem: Problem, limit: int, preference: Sequence[float]) -> Any:
    """Variable i is the offset of buffer i in multiples of its alignment; constraint 2i its sections, 2i + 1 its bytes."""
    from ortools.sat.python import cp_model_helper

    proto = cp_model_helper.CpModelProto()
    highest = problem.highest(limit)
    everyone = range(len(problem.sizes))
    for i in everyone:
        proto.variables.add().domain.extend((0, highest[i] // problem.aligns[i]))
        wide, tall = proto.constraints.add().interval, proto.constraints.add().interval
        wide.start.offset, wide.end.offset = problem.first[i], problem.last[i] + 1
        wide.size.offset = problem.last[i] + 1 - problem.first[i]
        for side in (tall.start, tall.end):
            side.vars.append(i)
            side.coeffs.append(problem.aligns[i])
        tall.size.offset = tall.end.offset = problem.sizes[i]
    plane = proto.constraints.add().no_overlap_2d
    plane.x_intervals.extend(2 * i for i in everyone)
    plane.y_intervals.extend(2 * i + 1 for i in everyone)
    for live in problem.members:
        proto.constraints.add().no_overlap.intervals.extend(2 * i + 1 for i in live)
    _break_mirror(proto, problem, limit)
    strategy = proto.search_strategy.add()
    for i in sorted(everyone, key=lambda i: (-preference[i], i)):
        offset = strategy.exprs.add()
        offset.vars.append(i)
        offset.coeffs.append(1)
    strategy.variable_selection_strategy = strategy.CHOOSE_LOWEST_MIN
    strategy.domain_reduction_strategy = strategy.SELECT_MIN_VALUE
    return proto


def _break_mirror(proto: Any, problem: Problem, limit: int) -> None:
    """Upside down, a plan in whole units is a plan: the largest buffer may stay in the lower half."""
    if max(problem.aligns) > 1 or limit % problem.unit or any(size % problem.unit for size in problem.bytes):
        return
    largest = max(range(len(problem.sizes)), key=lambda i: problem.sizes[i] * problem.spans[i])
    domain = proto.variables[largest].domain
    most = (problem.capacity(limit) - problem.sizes[largest]) // 2
    domain.clear()
    domain.extend((0, most))
