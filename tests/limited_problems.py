"""Small problems with options, limits and an objective, and the best of all their plans, found without the solver's code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product

from hypothesis import strategies as st
from placement_problems import MICRO, problems

from autoglmc.passes.solve.problem import Bound, Net, Option, Problem, Room, Unit, Weights


def counted(problem: Problem, device: Sequence[int]) -> set[tuple[int, ...]]:
    """Segments per device, of every way to cut an assignment into segments that can run one after the other."""
    every = frozenset(range(len(device)))
    found: dict[frozenset[int], set[tuple[int, ...]]] = {frozenset(): {(0,) * len(problem.devices)}}
    for size in range(len(device)):
        for done in [chosen for chosen in found if len(chosen) == size]:
            for d in set(device):
                counts = {tuple(n + (k == d) for k, n in enumerate(ran)) for ran in found[done]}
                for after in segments(problem, [k for k in every - done if device[k] == d], done):
                    found.setdefault(after, set()).update(counts)
    return found[every]


def segments(problem: Problem, mine: Sequence[int], done: frozenset[int]) -> Iterator[frozenset[int]]:
    """What has run after each segment of some of these units that could run next."""
    for size in range(1, len(mine) + 1):
        for members in combinations(mine, size):
            after = done | set(members)
            if all(set(problem.predecessors[k]) <= after for k in members):
                yield after


def handed_over(problem: Problem, device: Sequence[int], options: Sequence[Option]) -> float | None:
    total = 0.0
    for net in problem.nets:
        here, left = (problem.host, 0) if net.producer < 0 else (device[net.producer], options[net.producer].form)
        for there in {device[c] for c in net.consumers} | ({problem.host} if net.to_host else set()):
            seconds = (net.in_form[left] if net.in_form else net.seconds)[here][there]
            if seconds is None:
                return None
            total += seconds
    return total


def recoded(problem: Problem, device: Sequence[int], options: Sequence[Option]) -> list[float] | None:
    """Seconds per device that changes of form take: each device brings a tensor into a form once."""
    busy = [0.0] * len(problem.devices)
    for net in problem.nets:
        left = 0 if net.producer < 0 else options[net.producer].form
        reads = {(device[c], options[c].form if options[c].takes is None else options[c].takes) for c in net.consumers}
        if net.to_host:
            reads.add((problem.host, 0))
        for there, form in reads if net.recode else ():
            seconds = net.recode[there][left][form]
            if seconds is None:
                return None
            busy[there] += seconds
    return busy


def ways(problem: Problem) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    each = [
        [(d, j) for d, s in enumerate(u.seconds) if s is not None for j in range(len(u.options[d]) if u.options else 1)]
        for u in problem.units
    ]
    for plan in product(*each):
        yield tuple(d for d, _ in plan), tuple(j for _, j in plan)


def option(unit: Unit, d: int, j: int) -> Option:
    return unit.options[d][j] if unit.options else Option(unit.seconds[d] or 0.0)


def best(problem: Problem) -> float:
    """The least that any plan within the limits costs; infinite where there is none."""
    aim = problem.objective or Weights((1.0,) * len(problem.devices), 1.0)
    least = float("inf")
    for device, picks in ways(problem):
        options = [option(u, d, j) for u, d, j in zip(problem.units, device, picks, strict=True)]
        handoff, changes = handed_over(problem, device, options), recoded(problem, device, options)
        if handoff is None or changes is None or not roomy(problem, device, options):
            continue
        for pieces in counted(problem, device):
            busy = [problem.dispatch[d] * pieces[d] + changes[d] for d in range(len(pieces))]
            for d, chosen in zip(device, options, strict=True):
                busy[d] += chosen.seconds
            cost = sum(w * s for w, s in zip(aim.busy, busy, strict=True)) + aim.handoff * handoff
            if cost < least and kept(problem, pieces, busy, handoff):
                least = cost
    return least


def roomy(problem: Problem, device: Sequence[int], options: Sequence[Option]) -> bool:
    if problem.most_error is not None and sum(o.error for o in options) > problem.most_error + 1e-12:
        return False
    for room in problem.rooms:
        weights = [u.weight_bytes if o.weight_bytes is None else o.weight_bytes for u, o in zip(problem.units, options, strict=True)]
        used = sum(w for w, d in zip(weights, device, strict=True) if d in room.devices)
        all_homes = len(room.homes) == len(problem.devices)
        at_once = [
            (u.touched_bytes if d in room.homes else 0) + (u.passing_bytes if all_homes else 0)
            for u, d in zip(problem.units, device, strict=True)
        ]
        if used + max(at_once) > room.bytes:
            return False
    return True


def kept(problem: Problem, pieces: Sequence[int], busy: Sequence[float], handoff: float) -> bool:
    if any(most is not None and pieces[d] > most for d, most in enumerate(problem.most_pieces)):
        return False
    if problem.most_in_all is not None and sum(pieces) > problem.most_in_all:
        return False
    values = (sum(w * s for w, s in zip(b.weights.busy, busy, strict=True)) + b.weights.handoff * handoff for b in problem.bounds)
    return all(value <= b.most + 1e-9 * max(abs(b.most), MICRO) for value, b in zip(values, problem.bounds, strict=True))


@st.composite
def limited(draw: st.DrawFn, most: int = 5, options: bool = True) -> Problem:
    """A problem with options, limits and an objective."""
    plain = draw(problems(most=most))
    units = tuple(_with_options(draw, unit) for unit in plain.units) if options else plain.units
    watts = Weights(tuple(float(draw(st.integers(1, 9))) for _ in plain.devices), float(draw(st.integers(0, 2))))
    whole = sum(max(s for s in unit.seconds if s is not None) for unit in units)
    bounds = []
    if draw(st.booleans()):
        bounds.append(Bound("latency", Weights((1.0, 1.0, 1.0), 1.0), whole * draw(st.integers(1, 12)) / 8))
    if draw(st.booleans()):
        bounds.append(Bound("energy", watts, whole * draw(st.integers(1, 40)) / 8))
    return replace(
        plain,
        units=units,
        rooms=(*plain.rooms, *([Room("dram", (0, 1, 2), draw(st.integers(2, 30)), (0, 1, 2))] if draw(st.booleans()) else [])),
        most_in_all=draw(st.none() | st.integers(1, 4)),
        bounds=tuple(bounds),
        most_error=draw(st.none() | st.integers(0, 6).map(float)),
        objective=draw(st.sampled_from([None, watts])),
    )


def _with_options(draw: st.DrawFn, unit: Unit) -> Unit:
    def on(seconds: float | None) -> tuple[Option, ...]:
        if seconds is None:
            return ()
        slower = draw(st.lists(st.integers(0, 30), max_size=2))
        errors = draw(st.lists(st.integers(0, 3), min_size=3, max_size=3))
        more = [
            Option(seconds + s * MICRO, float(e), draw(st.none() | st.integers(0, 3))) for s, e in zip(slower, errors[1:], strict=False)
        ]
        return (Option(seconds, float(errors[0])), *sorted(more, key=lambda o: o.seconds))

    return replace(unit, options=tuple(map(on, unit.seconds)), touched_bytes=draw(st.integers(0, 6)), passing_bytes=draw(st.integers(0, 6)))


@st.composite
def in_forms(draw: st.DrawFn, most: int = 4) -> Problem:
    """A problem with limits whose options have forms: changing one takes time, and tensors cross faster in some."""
    plain, count = draw(limited(most=most)), draw(st.integers(2, 3))

    def in_form(option: Option) -> Option:
        takes = draw(st.none() | st.integers(0, count - 1)) if draw(st.booleans()) else None
        return replace(option, form=draw(st.integers(0, count - 1)), takes=takes)

    units = tuple(replace(u, options=tuple(tuple(map(in_form, on)) for on in u.options)) for u in plain.units)
    return replace(plain, units=units, nets=tuple(_in_forms(draw, net, count) for net in plain.nets))


def _in_forms(draw: st.DrawFn, net: Net, count: int) -> Net:
    more_costly = [0, *(draw(st.integers(0, 3)) for _ in range(count - 1))]
    in_form = tuple(tuple(tuple(None if s is None else s * (1 + more) for s in row) for row in net.seconds) for more in more_costly)

    def change(f: int, g: int) -> float | None:
        return 0.0 if f == g else draw(st.none() | st.integers(0, 25).map(lambda t: t * MICRO))

    recode = tuple(tuple(tuple(change(f, g) for g in range(count)) for f in range(count)) for _ in net.seconds)
    return replace(net, in_form=in_form if draw(st.booleans()) else (), recode=recode if draw(st.integers(0, 3)) else ())
