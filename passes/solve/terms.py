"""What the plans of a CP-SAT model cost and must keep, given where each unit is: options, handoffs, limits, the objective.

The models differ in how they say where a unit is (`stage_model.py` with segments, `relaxed_model.py` without); everything else is here.
Tensors cross devices by the flow linearisation: y[u,a,b] <= x[u,a], and sum_a y[u,a,b] >= x[v,b] for each consumer v; y is paid once,
which is copy-once. Devices from which a handoff takes as long share one y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .cp_sat import FALSE, TRUE, Answer, Model, Sum
from .problem import Net, Option, Problem, Room, Weights

TICKS = 1e9
"""CP-SAT counts in integers: nanoseconds, or nanojoules."""
MOST_TICKS = 1 << 50
"""Of one coefficient: what is beyond any plan."""
ERRORS = 1e6
"""Errors are counted in millionths of what is allowed."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The parts of a model that quantities are summed up from."""

    picks: list[dict[int, list[Sum]]]
    """For every unit and device, an expression per option that is 1 when the unit runs so."""
    used: list[tuple[int, int]]
    """(device, literal) of every segment that may be there."""
    flows: list[tuple[int, float, int]]
    """(literal, seconds, device that spends them) of every handoff that may be needed: the one that reads, or that exports."""
    recodings: list[tuple[int, float, int]] = field(default_factory=list)
    """(literal, seconds, device that computes them) of every change of form that may be needed."""


def terms(model: Model, problem: Problem, on: Sequence[Mapping[int, Sum]], used: list[tuple[int, int]]) -> Terms:
    """Options and handoffs of units whose device is given by `on`, with all limits added to the model."""
    negative = any(w < 0 for bound in problem.bounds for w in (*bound.weights.busy, bound.weights.handoff))
    found = Terms([_picks(model, problem, k, choices) for k, choices in enumerate(on)], used, [])
    for net in problem.nets:
        found.flows.extend(_net_flows(model, problem, net, on, negative, _left_as(problem, net, found.picks) if net.in_form else None))
        found.recodings.extend(_recodings(model, problem, net, found.picks, negative) if net.recode else [])
    for bound in problem.bounds:
        model.at_most(_linear(problem, found, bound.weights), _ticks(bound.most, up=True))
    _limit_errors(model, problem, found)
    for room in problem.rooms:
        _limit_room(model, problem, room, found, on)
    for first, *others in problem.together:
        for other in others:
            for device in sorted({*on[first], *on[other]}):
                same = Sum().plus(on[first].get(device, Sum())).plus(on[other].get(device, Sum()), -1)
                model.between(0, same, 0)
    return found


def minimise(model: Model, problem: Problem, found: Terms) -> None:
    """The problem's objective becomes the model's."""
    model.minimise(_linear(problem, found, problem.aim))


def options_of(problem: Problem, found: Terms, answer: Answer, assignment: Sequence[int]) -> tuple[int, ...]:
    """The index of every unit's option on its device."""
    return tuple(
        next((j for j, pick in enumerate(picks[device]) if answer.value(pick) == 1), 0)
        for picks, device in zip(found.picks, assignment, strict=True)
    )


def _ticks(value: float, up: bool = False) -> int:
    ticks = round(value * TICKS) + (1 if up else 0)
    return max(-MOST_TICKS, min(ticks, MOST_TICKS))


def _picks(model: Model, problem: Problem, k: int, choices: Mapping[int, Sum]) -> dict[int, list[Sum]]:
    found = {}
    for device, here in choices.items():
        options = problem.units[k].on(device)
        if len(options) == 1:
            found[device] = [here]
            continue
        literals = [model.boolean() for _ in options]
        model.between(0, Sum(literals).plus(here, -1), 0)
        found[device] = [Sum([literal]) for literal in literals]
    return found


def _linear(problem: Problem, found: Terms, weights: Weights) -> Sum:
    total = Sum()
    for unit, picks in zip(problem.units, found.picks, strict=True):
        for device, each in picks.items():
            for option, pick in zip(unit.on(device), each, strict=True):
                total.plus(pick, _ticks(option.seconds * weights.busy[device]))
    for device, literal in found.used:
        total.add(literal, _ticks(problem.dispatch[device] * weights.busy[device]))
    for literal, seconds, _ in found.flows:
        total.add(literal, _ticks(seconds * weights.handoff))
    for literal, seconds, device in found.recodings:
        total.add(literal, _ticks(seconds * weights.busy[device]))
    return total


def _limit_errors(model: Model, problem: Problem, found: Terms) -> None:
    if problem.most_error is None:
        return
    scale, total = ERRORS / problem.most_error if problem.most_error > 0 else 0.0, Sum()
    for unit, picks in zip(problem.units, found.picks, strict=True):
        for device, each in picks.items():
            for option, pick in zip(unit.on(device), each, strict=True):
                share = option.error * scale if scale else (2.0 * ERRORS if option.error > 0 else 0.0)
                total.plus(pick, int(min(share, 2 * ERRORS)))
    model.at_most(total, int(ERRORS) if scale else 0)


def _limit_room(model: Model, problem: Problem, room: Room, found: Terms, on: Sequence[Mapping[int, Sum]]) -> None:
    """Weights, and with them what is live while each unit runs; rows that no plan can break are left out."""
    weights, most = Sum(), 0
    for unit, picks in zip(problem.units, found.picks, strict=True):
        sizes = [0]
        for device in room.devices:
            for option, pick in zip(unit.on(device), picks.get(device, []), strict=True):
                sizes.append(unit.stored(option))
                weights.plus(pick, unit.stored(option))
        most += max(sizes)
    everywhere = len(set(room.homes)) == len(problem.devices)
    if most > room.bytes:
        model.at_most(weights, room.bytes)
    for unit, choices in zip(problem.units, on, strict=True):
        passing = unit.passing_bytes if everywhere else 0
        if room.homes and most + passing + unit.touched_bytes > room.bytes:
            row = Sum().plus(weights)
            row.constant += passing
            for device in room.homes:
                if device in choices:
                    row.plus(choices[device], unit.touched_bytes)
            model.at_most(row, room.bytes)


def _net_flows(
    model: Model, problem: Problem, net: Net, on: Sequence[Mapping[int, Sum]], exact: bool, left_as: Mapping[tuple[int, int], Sum] | None
) -> list[tuple[int, float, int]]:
    """`exact`: a flow is 1 only where it is needed, which matters where a limit would gain from it. `left_as`: of a net whose forms take
    different times, the producer's device and form."""
    here_always, found = Sum([TRUE]), []
    source: Mapping[int, Sum] = {problem.host: here_always} if net.producer < 0 else on[net.producer]
    needs: dict[int, list[Sum]] = {}
    for consumer in net.consumers:
        for device, expression in on[consumer].items():
            needs.setdefault(device, []).append(expression)
    if net.to_host:
        needs.setdefault(problem.host, []).append(here_always)
    for there, expressions in needs.items():
        flows = []
        shares = sharing(net, source, there) if left_as is None else _sharing_in_form(net, left_as, there)
        for seconds, presents in shares.items():
            flow = model.boolean()
            model.at_least(_sum(presents).plus(Sum([flow]), -1), 0)
            if exact:
                model.at_least(_sum(expressions).plus(Sum([flow]), -1), 0)
            flows.append(flow)
            found.append((flow, seconds, there))
        for needed in expressions:
            model.at_least(Sum(flows).plus(source.get(there, Sum())).plus(needed, -1), 0)
    return found + (_exports(model, problem, net, on, exact) if net.export and net.producer >= 0 else [])


def sharing(net: Net, source: Mapping[int, Sum], there: int) -> dict[float, list[Sum]]:
    """The devices other than `there` that the tensor may come from, by how long that takes."""
    shares: dict[float, list[Sum]] = {}
    for here, present in source.items():
        seconds = net.seconds[here][there]
        if here != there and seconds is not None:
            shares.setdefault(seconds, []).append(present)
    return shares


def _sharing_in_form(net: Net, left_as: Mapping[tuple[int, int], Sum], there: int) -> dict[float, list[Sum]]:
    shares: dict[float, list[Sum]] = {}
    for (here, form), present in left_as.items():
        seconds = net.time(here, there, form)
        if here != there and seconds is not None:
            shares.setdefault(seconds, []).append(present)
    return shares


def _left_as(problem: Problem, net: Net, picks: Sequence[Mapping[int, Sequence[Sum]]]) -> dict[tuple[int, int], Sum]:
    """Where and in which form the tensor is made: expressions of which one is 1."""
    return {(problem.host, 0): Sum([TRUE])} if net.producer < 0 else _by_form(problem, net.producer, picks, lambda option: option.form)


def _by_form(
    problem: Problem, unit: int, picks: Sequence[Mapping[int, Sequence[Sum]]], form: Callable[[Option], int]
) -> dict[tuple[int, int], Sum]:
    found: dict[tuple[int, int], Sum] = {}
    for device, each in picks[unit].items():
        for option, pick in zip(problem.units[unit].on(device), each, strict=True):
            found.setdefault((device, form(option)), Sum()).plus(pick)
    return found


def _recodings(
    model: Model, problem: Problem, net: Net, picks: Sequence[Mapping[int, Sequence[Sum]]], exact: bool
) -> list[tuple[int, float, int]]:
    """One literal for each device and form that the tensor may be read in, and form that it may be left in; a device reads a form once."""
    left: dict[int, Sum] = {}
    for (_, form), present in _left_as(problem, net, picks).items():
        left.setdefault(form, Sum()).plus(present)
    needs: dict[tuple[int, int], list[Sum]] = {}
    for consumer in net.consumers:
        for place, present in _by_form(problem, consumer, picks, lambda option: option.reads).items():
            needs.setdefault(place, []).append(present)
    if net.to_host:
        needs.setdefault((problem.host, 0), []).append(Sum([TRUE]))
    found = []
    for (device, form), readers in needs.items():
        for form_left, present in left.items():
            seconds = net.recode[device][form_left][form]
            if seconds == 0.0:
                continue
            literal = FALSE if seconds is None else model.boolean()
            for reader in readers:
                model.at_least(Sum([literal]).plus(present, -1).plus(reader, -1), -1)
            if seconds is None:
                continue
            if exact:
                model.at_least(Sum().plus(present).plus(Sum([literal]), -1), 0)
                model.at_least(_sum(readers).plus(Sum([literal]), -1), 0)
            found.append((literal, seconds, device))
    return found


def _exports(model: Model, problem: Problem, net: Net, on: Sequence[Mapping[int, Sum]], exact: bool) -> list[tuple[int, float, int]]:
    found = []
    for here, present in on[net.producer].items():
        if not net.export[here]:
            continue
        left, elsewhere = model.boolean(), [on[consumer].get(here, Sum()) for consumer in net.consumers]
        others = [*elsewhere, *([Sum()] if net.to_host and here != problem.host else [])]
        for other in others:
            model.at_least(Sum([left]).plus(present, -1).plus(other), 0)
        if exact:
            model.at_least(Sum().plus(present).plus(Sum([left]), -1), 0)
            model.at_most(Sum([left]).plus(_sum(others)), len(others))
        found.append((left, net.export[here], here))
    return found


def _sum(expressions: Sequence[Sum]) -> Sum:
    total = Sum()
    for expression in expressions:
        total.plus(expression)
    return total
