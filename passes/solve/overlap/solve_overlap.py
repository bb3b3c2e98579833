"""The two objectives in which devices work at once: the time of one request with overlap, and the period of pipelined requests.

The plan of the least sum of times, everything on one device, and devices filled in order are places to start from; annealing
(`anneal.py`) looks on from them, then CP-SAT with stages from the best place so far, where the problem is small enough. What comes back is
never worse than the plan of the least sum of times, and carries a bound. Work is counted, so equal problems get equal plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..partition import Piece
from ..price import price
from ..problem import Problem
from ..solve import DETERMINISTIC_SECONDS, GAP, Solution, solve
from .anneal import anneal
from .bounds import load_bound, path_bound
from .in_order import in_order
from .makespan_model import search_makespan
from .period_model import search_period
from .relaxed_bound import relaxed_bound
from .slots import INFINITE, Place, Slots
from .staged import stage_devices

UNIT_STEPS = 300_000
"""Steps of one annealing run times units, at the usual effort."""
STEPS_A_UNIT = 300
"""At most, at the usual effort."""
RUNS = 3
"""From each start, as long as steps are left."""
LEAST_VISITS = 2
SMALL, LARGE = 200, 4000
"""Units times stages: below the first CP-SAT has as many visits as there are units; above the second it is not asked."""

MOST_RELAXED = 1000
"""Units up to which the bound without pieces is asked for."""

Search = Callable[[Problem, Slots, Place, Sequence[int], float], tuple[Place, float]]


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is minimised: the cost of a place, and the search for the least."""

    cost: Callable[[Slots, Place], float]
    search: Search


LATENCY = _Measure(Slots.seconds, search_makespan)
PERIOD = _Measure(Slots.period, search_period)


def solve_latency(problem: Problem, starts: Sequence[Sequence[int]], seconds: float = DETERMINISTIC_SECONDS) -> Solution | None:
    """The plan whose pieces end first when devices work at once; its price's `cost` is that time, its `total` still the sum of times."""
    return _solve(problem, starts, seconds, LATENCY, max(path_bound(problem), load_bound(problem)))


def solve_throughput(problem: Problem, starts: Sequence[Sequence[int]], seconds: float = DETERMINISTIC_SECONDS) -> Solution | None:
    """The plan of the shortest time between two pipelined requests, which is its price's `cost`."""
    return _solve(problem, starts, seconds, PERIOD, load_bound(problem))


def _solve(problem: Problem, starts: Sequence[Sequence[int]], seconds: float, measure: _Measure, bound: float) -> Solution | None:
    problem = replace(problem, objective=None)
    first = solve(problem, starts, seconds)
    visits = _visits(problem)
    stages = stage_devices(problem, visits)
    slots = Slots(problem, [_most_slots(problem, d, stages, first) for d in range(len(problem.devices))])

    def cost(place: Place) -> float:
        return measure.cost(slots, place)

    known = [place for place in _starts(problem, slots, first) if cost(place) < INFINITE]
    filled = [place for place in in_order(problem, slots) if cost(place) < INFINITE]
    known = [*known[:2], *sorted([*known[2:], *filled], key=cost)[:1]]
    if not known:
        return None
    best = min(known, key=cost)
    if cost(best) > bound * (1 + GAP):
        best = _annealed(slots, cost, known, seconds / DETERMINISTIC_SECONDS)
    if cost(best) > bound * (1 + GAP) and len(problem.units) <= MOST_RELAXED:
        bound = max(bound, relaxed_bound(problem, cost(best), measure is LATENCY, seconds))
    complete, proven = False, cost(best) <= bound * (1 + GAP)
    may_search = len(problem.units) * len(stages) <= LARGE
    if not proven and may_search:
        best, found = measure.search(problem, slots, best, stages, seconds)
        complete, proven = visits >= len(problem.units) or _once(problem), cost(best) <= found * (1 + GAP)
        bound = max(bound, found) if complete else bound
    visits_proven = None if complete or not may_search or cost(best) <= bound * (1 + GAP) else visits
    return _solution(problem, slots, best, cost(best), bound, proven, visits_proven)


def _visits(problem: Problem) -> int:
    devices = len({d for unit in problem.units for d in unit.devices} | {problem.host})
    return max(LEAST_VISITS, min(len(problem.units), SMALL // max(1, devices * len(problem.units))))


def _once(problem: Problem) -> bool:
    """Whether the stages are all there can be: one piece a device, or a parallel one, and the devices but the host are alike."""
    once = all(problem.piece_limit(d) == 1 or d in problem.parallel for d in range(len(problem.devices)))
    return once and len(stage_devices(problem, 1)) == 2 * len(problem.devices) - 1


def _most_slots(problem: Problem, device: int, stages: Sequence[int], first: Solution | None) -> int:
    """As many as stages, or one more than the pieces of the plan that is known."""
    known = 1 + sum(piece.device == device for piece in first.price.pieces) if first is not None else 0
    wanted, most = max(list(stages).count(device), known, 1), problem.piece_limit(device)
    return wanted if most is None else min(wanted, most)


def _starts(problem: Problem, slots: Slots, first: Solution | None) -> list[Place]:
    found = [] if first is None else [slots.place(first.price.pieces, first.options)]
    everything = tuple(range(len(problem.units)))
    for device in (problem.host, *(d for d in range(len(problem.devices)) if d != problem.host)):
        if slots.of[device] and all(unit.seconds[device] is not None for unit in problem.units):
            found.append(slots.place([Piece(device, everything)]))
    return found


def _annealed(slots: Slots, cost: Callable[[Place], float], known: Sequence[Place], effort: float) -> Place:
    """The best of some runs from each start: often the best plan is far from one of them."""
    count = max(1, len(slots.problem.units))
    steps = int(effort * min(UNIT_STEPS / count, STEPS_A_UNIT * count))
    found = [anneal(slots, cost, start, steps, seed) for start in known for seed in range(RUNS)]
    return min([*found, *((cost(start), start) for start in known)], key=lambda each: each[0])[1]


def _solution(problem: Problem, slots: Slots, place: Place, cost: float, bound: float, proven: bool, visits: int | None) -> Solution | None:
    line = slots.timeline(place)
    pieces = tuple(run.piece for run in line.runs) if line is not None else ()
    assignment = slots.assignment(place)
    found = price(problem, assignment, place.options, pieces)
    if found is None:
        return None
    options = place.options if any(place.options) else ()
    return Solution(assignment, replace(found, cost=cost), min(bound, cost), proven, visits, options)
