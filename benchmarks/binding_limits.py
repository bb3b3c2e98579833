"""Placement problems with limits that bind, made from a problem without: each limit takes the best plan of the others away.

A limit's value lies between what that best plan needs of it and the least that any plan known needs, so that it binds and can be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from autoglmc.passes.place.known_plans import known_assignments
from autoglmc.passes.place.solve_placement import LIMITED
from autoglmc.passes.solve.known import limited
from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Bound, Net, Problem, Room, Unit, Weights
from autoglmc.passes.solve.solve import DETERMINISTIC_SECONDS, Solution, solve


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    problem: Problem
    limits: int


def solved(problem: Problem) -> Solution | None:
    """As a compilation solves it."""
    return solve(problem, known_assignments(problem), DETERMINISTIC_SECONDS * (LIMITED if limited(problem) else 1))


def cases(plain: Problem, energy: Weights | None) -> Iterator[Case]:
    """The problem without limits, with one and with two that bind; for the least energy as well. `energy`: watts, None where the target
    states none."""
    yield Case("none", plain, 0)
    fastest = solved(plain)
    if fastest is not None:
        yield from _limited(plain, fastest, "", _limits(plain, energy))
    if energy is None:
        return
    thrifty = replace(plain, objective=energy)
    least = solved(thrifty)
    if least is not None:
        yield from _limited(thrifty, least, "least energy: ", {"latency 80 %": _linear("latency", plain.time, 0.8), **_counts(plain)})


Limit = Callable[[Problem, Solution], Problem | None]


def _limits(plain: Problem, energy: Weights | None) -> dict[str, Limit]:
    found: dict[str, Limit] = {}
    if energy is not None:
        found = {f"energy {share:.0%}".replace("%", " %"): _linear("energy", energy, share) for share in (0.95, 0.8, 0.4)}
        found["power 80 %"] = lambda problem, best: _power(problem, best, energy)
    return found | _counts(plain)


def _counts(plain: Problem) -> dict[str, Limit]:
    return {"partitions": _partitions, "memory 60 %": _memory}


def _limited(problem: Problem, best: Solution, prefix: str, limits: Mapping[str, Limit]) -> Iterator[Case]:
    for k, (name, limit) in enumerate(limits.items()):
        one = limit(problem, best)
        if one is None:
            continue
        yield Case(prefix + name, one, 1)
        found = solved(one)
        if found is None:
            continue
        for other, second in list(limits.items())[k + 1 :]:
            two = second(one, found) if other.split()[0] != name.split()[0] else None
            if two is not None:
                yield Case(f"{prefix}{name}, {other}", two, 2)


def _linear(name: str, weights: Weights, share: float) -> Limit:
    """`share` of the way from the least that a plan needs to what the best one does."""

    def limit(problem: Problem, best: Solution) -> Problem | None:
        thrifty = solved(replace(problem.without_limits(), objective=weights))
        if thrifty is None:
            return None
        least, most = thrifty.price.value(weights), best.price.value(weights)
        if most <= least * 1.001:
            return None
        return replace(problem, bounds=(*problem.bounds, Bound(name, weights, least + share * (most - least))))

    return limit


def _power(problem: Problem, best: Solution, energy: Weights) -> Problem | None:
    known = (price(problem.without_limits(), plan) for plan in known_assignments(problem.without_limits()))
    most = best.price.value(energy) / best.price.total
    least = min((found.value(energy) / found.total for found in known if found is not None), default=most)
    if most <= least * 1.001:
        return None
    watts = least + 0.8 * (most - least)
    weights = Weights(tuple(w - watts for w in energy.busy), energy.handoff - watts)
    return replace(problem, bounds=(*problem.bounds, Bound("power", weights, 0.0, watts)))


def _partitions(problem: Problem, best: Solution) -> Problem | None:
    """Two thirds of the segments."""
    count = len(best.price.pieces)
    return replace(problem, most_in_all=max(1, count * 2 // 3)) if count > 1 else None


def _memory(problem: Problem, best: Solution) -> Problem | None:
    """Of the weights on the busiest device but the host, 60 % fit into a memory of its own."""
    held = [0] * len(problem.devices)
    for unit, device in zip(problem.units, best.assignment, strict=True):
        held[device] += unit.weight_bytes
    device = max((d for d in range(len(held)) if d != problem.host), key=lambda d: held[d], default=problem.host)
    if device == problem.host or not held[device]:
        return None
    return replace(problem, rooms=(*problem.rooms, Room(f"memory {problem.devices[device]}", (device,), held[device] * 6 // 10)))


def with_devices(problem: Problem, count: int) -> Problem:
    """The problem with so many devices: the host, and the others in turn, each further time half as fast and as cheap to start again."""
    others = [d for d in range(len(problem.devices)) if d != problem.host]
    copies = [(others[k % len(others)], 1 + k // len(others)) for k in range(count - 1)] + [(problem.host, 1)]
    crossing = [others[k % len(others)] for k in range(2)]

    def seconds(unit: Unit) -> tuple[float | None, ...]:
        return tuple(None if (s := unit.seconds[d]) is None else s * times for d, times in copies)

    def handed(net: Net) -> tuple[tuple[float | None, ...], ...]:
        rows: list[tuple[float | None, ...]] = []
        for a, (here, _) in enumerate(copies):
            ways = [crossing if here == there and a != b else [here, there] for b, (there, _) in enumerate(copies)]
            rows.append(tuple(net.seconds[way[0]][way[1]] for way in ways))
        return tuple(rows)

    return Problem(
        tuple(f"{problem.devices[d]}{times if times > 1 else ''}" for d, times in copies),
        count - 1,
        tuple(problem.dispatch[d] / times for d, times in copies),
        tuple(replace(unit, seconds=seconds(unit)) for unit in problem.units),
        tuple(replace(net, seconds=handed(net)) for net in problem.nets),
    )


def with_watts(problem: Problem, energy: Weights, before: Sequence[str]) -> Weights:
    """Of a problem that `with_devices` made: a device half as fast draws a third of the power."""
    names = list(before)
    busy = []
    for name in problem.devices:
        base = name if name in names else name.rstrip("0123456789")
        times = int(name[len(base) :] or 1)
        busy.append(energy.busy[names.index(base)] * (1.0 if times == 1 else 2 / (3 * times)))
    return Weights(tuple(busy), energy.handoff)
