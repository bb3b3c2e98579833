"""The best choice of where tensors lie (`residency.py`).

The first options together are the plan that uses no other memory. Greedy by seconds saved per byte and step, improved by exchanges, gives
a start; CP-SAT improves it and often proves it, up to a size. Work is counted, never timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..cp_sat import Model, Sum
from .residency import Residency
from .residency_search import Occupancy, improve

LARGEST_MODEL = 1_500
"""Options beyond which CP-SAT is not asked."""
DETERMINISTIC_SECONDS = 0.4
FEW_LOOKS, MANY_LOOKS = 10_000, 80_000
"""Options weighed in the search for a start, and where there is nothing else."""
RESOLUTION = 10**9
"""Whole units that the time of the plan without other memories is counted in."""


@dataclass(frozen=True, slots=True)
class Chosen:
    options: tuple[int, ...]
    """Per item."""
    proven: bool
    """Whether no choice is faster, to the solver's resolution."""


def choose(problem: Residency, effort: float = 1.0, starts: Sequence[Sequence[int]] = ()) -> Chosen | None:
    """The best choice found; None where none was found that fits. `starts`: choices to begin with, besides the first options. `effort`
    scales the solver's time; with 0 it is not asked."""
    exact = sum(len(options) for options in problem.items) <= LARGEST_MODEL
    looks = FEW_LOOKS if exact or not effort else MANY_LOOKS
    found = [improve(problem, start, looks) for start in (_least(problem), *starts)]
    best = min((one for one in found if one is not None), key=lambda options: seconds(problem, options), default=None)
    if best is not None and all(len(options) == 1 for options in problem.items):
        return Chosen(best, True)
    if not exact or not effort:
        return None if best is None else Chosen(best, False)
    return _solve(problem, best, effort * DETERMINISTIC_SECONDS)


def seconds(problem: Residency, options: Sequence[int]) -> float:
    """Time of a choice."""
    return sum(step_seconds(problem, options)) + sum(item[o].seconds for item, o in zip(problem.items, options, strict=True))


def step_seconds(problem: Residency, options: Sequence[int]) -> list[float]:
    """Time of each step of a choice, transfers apart."""
    return Occupancy(problem, options).step_seconds()


def _least(problem: Residency) -> tuple[int, ...]:
    return (0,) * len(problem.items)


def _solve(problem: Residency, best: Sequence[int] | None, limit: float) -> Chosen | None:
    plain = seconds(problem, _least(problem))
    unit = RESOLUTION / plain if plain > 0 else 1.0
    model, objective = Model(), Sum()
    picks = [[model.boolean() for _ in options] for options in problem.items]
    for literals, options in zip(picks, problem.items, strict=True):
        model.between(1, Sum(literals), 1)
        for literal, option in zip(literals, options, strict=True):
            objective.add(literal, round(option.seconds * unit))
    _rooms(model, problem, picks)
    objective.plus(_times(model, problem, picks, unit))
    model.minimise(objective)
    if best is not None:
        model.hint({literal: o == chosen for literals, chosen in zip(picks, best, strict=True) for o, literal in enumerate(literals)})
    answer = model.solve(limit)
    if answer is None:
        return None if best is None else Chosen(tuple(best), False)
    found = tuple(next(o for o, literal in enumerate(literals) if answer.values[literal]) for literals in picks)
    if best is not None and seconds(problem, best) <= seconds(problem, found):
        return Chosen(tuple(best), answer.proven)
    return Chosen(found, answer.proven)


def _rooms(model: Model, problem: Residency, picks: Sequence[Sequence[int]]) -> None:
    """What is held at a step fits; only at steps where something ends that began since the last such step: others hold less."""
    for memory, room in enumerate(problem.rooms):
        begins: dict[int, list[tuple[int, int]]] = {}
        ends: dict[int, list[tuple[int, int]]] = {}
        for literals, options in zip(picks, problem.items, strict=True):
            for literal, option in zip(literals, options, strict=True):
                for hold in (hold for hold in option.holds if hold.memory == memory):
                    begins.setdefault(hold.first, []).append((literal, hold.bytes))
                    ends.setdefault(hold.last, []).append((literal, hold.bytes))
        live, grew = Sum(), False
        for k, step in enumerate(problem.steps):
            for literal, size in begins.get(k, ()):
                live.add(literal, size)
                grew = True
            taken = sum(size for at, size in step.taken if at == memory)
            if taken or (grew and k in ends):
                model.at_most(Sum().plus(live), room - taken)
                grew = False
            for literal, size in ends.get(k, ()):
                live.add(literal, -size)


def _times(model: Model, problem: Residency, picks: Sequence[Sequence[int]], unit: float) -> Sum:
    """The steps' time, as a sum of whole numbers that traffic pushes up."""
    moved: list[dict[int, Sum]] = [{} for _ in problem.steps]
    for k, step in enumerate(problem.steps):
        for memory, time in step.traffic:
            moved[k].setdefault(memory, Sum()).constant += round(time * unit)
    for literals, options in zip(picks, problem.items, strict=True):
        for literal, option in zip(literals, options, strict=True):
            for k, memory, time in option.traffic:
                moved[k].setdefault(memory, Sum()).add(literal, round(time * unit))
    total = Sum()
    for k, step in enumerate(problem.steps):
        floor = round(step.floor * unit)
        above = [found for found in moved[k].values() if found.constant + sum(found.terms.values()) > floor]
        if not above:
            total.constant += floor
            continue
        most = max(found.constant + sum(found.terms.values()) for found in above)
        time = model.whole(floor, most)
        total.add(time, 1)
        for found in above:
            model.between(0, Sum([time]).plus(found, -1), most)
    return total
