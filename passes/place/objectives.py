"""What a placement may be chosen for, by name, and the solver of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...targets.model import Target
from ..solve.limits.conflict import least
from ..solve.overlap.slots import Slots
from ..solve.overlap.solve_overlap import solve_latency, solve_throughput
from ..solve.partition import Piece
from ..solve.problem import Problem, Room
from ..solve.solve import GAP, Solution, solve
from .limit_terms import energy_weights, working_devices
from .placed import Question

LATENCY, OVERLAP, THROUGHPUT, ENERGY, MEMORY = "latency", "overlap", "throughput", "energy", "memory"
OBJECTIVES = (LATENCY, OVERLAP, THROUGHPUT, ENERGY, MEMORY)
PEAK = "peak of memory"
"""The room that is made as small as possible."""

Solver = Callable[[Problem, Sequence[Sequence[int]], float], Solution | None]


def aimed(question: Question, objective: str) -> Question:
    """The question for an objective. `energy` needs every device's power."""
    return replace(question, problem=aimed_problem(question.problem, question.target, objective))


def aimed_problem(problem: Problem, target: Target, objective: str) -> Problem:
    """The problem for an objective that is a matter of its numbers; for others, of its solver, as it is."""
    if objective == ENERGY:
        return replace(problem, objective=energy_weights(target))
    if objective == MEMORY:
        size = sum(memory.size for memory in target.memories)
        room = Room(PEAK, working_devices(target), size, tuple(range(len(problem.devices))))
        return replace(problem, rooms=(*problem.rooms, room))
    return problem


def solver_for(objective: str) -> Solver:
    """Of the problem of a question that was aimed at the same objective."""
    return {OVERLAP: solve_latency, THROUGHPUT: solve_throughput, MEMORY: _least_memory}.get(objective, solve)


def _least_memory(problem: Problem, starts: Sequence[Sequence[int]], seconds: float) -> Solution | None:
    """The plan of the least peak that was found, the fastest of those known; its `cost` and bound are in bytes."""
    if not any(room.name == PEAK for room in problem.rooms):
        return solve(problem, starts, seconds)
    found = least(problem, PEAK, starts, seconds)
    if found is None:
        return None
    bound = min(found.bound, found.value)
    return replace(
        found.solution, price=replace(found.solution.price, cost=found.value), lower_bound=bound, proven=_close(found.value, bound)
    )


def _close(value: float, bound: float) -> bool:
    return value - bound <= max(GAP * value, 0)


def cost_of(problem: Problem, pieces: Sequence[Piece], objective: str) -> float:
    """What a plan of these pieces costs where devices work at once, `overlap` or `throughput`, in seconds; infinite where it is not
    possible."""
    visits = [sum(piece.device == d for piece in pieces) for d in range(len(problem.devices))]
    slots = Slots(problem, visits)
    place = slots.place(pieces)
    return slots.period(place) if objective == THROUGHPUT else slots.seconds(place)
