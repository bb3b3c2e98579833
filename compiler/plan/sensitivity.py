"""Which guessed numbers decided: those that, at half or twice their value, would make another known plan the cheaper one.

A plan's time is split by the number that sets it (dispatch, launch, handoff, copy bandwidth, peak, memory bandwidth), so that
changing one number is arithmetic, first order in the roofline (a kernel stays bound by what bounds it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...passes.place.candidates import Implementation
from ...passes.place.placed import Placement, Question
from ...passes.solve.price import price
from ...targets.origin import Fact
from ...targets.route import route

FACTORS = (0.5, 2.0)
_TIMES = frozenset({"dispatch", "launch", "handoff"})


@dataclass(frozen=True, slots=True)
class Decider:
    fact: Fact
    factor: float
    """The number times this makes the other plan cheaper."""
    rival: str
    """The plan that would win: "all on cpu", "greedy" …"""


def deciding_guesses(placement: Placement, rivals: Mapping[str, Sequence[int]]) -> tuple[Decider, ...]:
    """For every `@guess` number at most one entry: the first factor and rival that would win."""
    question = placement.question
    ours = _split(question, placement.solution.assignment)
    others = [(name, a, _split(question, a)) for name, a in rivals.items() if tuple(a) != placement.solution.assignment]
    others = [(name, a, s) for name, a, s in others if price(question.problem, a) is not None]
    found = []
    for fact in question.target.facts:
        if fact.provenance == "guess":
            decider = _decider(fact, ours, [(name, split) for name, _, split in others])
            if decider is not None:
                found.append(decider)
    return tuple(found)


def deciding_between(placement: Placement, rival: Placement, name: str) -> tuple[Decider, ...]:
    """The `@guess` numbers that at half or twice their value would make one other plan, of the same model and target, the cheaper one."""
    ours = _split(placement.question, placement.solution.assignment)
    theirs = _split(rival.question, rival.solution.assignment)
    guesses = [fact for fact in placement.question.target.facts if fact.provenance == "guess"]
    found = (_decider(fact, ours, [(name, theirs)]) for fact in guesses)
    return tuple(decider for decider in found if decider is not None)


def _decider(fact: Fact, ours: Mapping[str, float], others: Sequence[tuple[str, Mapping[str, float]]]) -> Decider | None:
    path = fact.path
    for factor in FACTORS:
        scale = factor if path.rsplit(".", 1)[-1] in _TIMES else 1 / factor
        for name, split in others:
            mine = sum(ours.values()) + ours.get(path, 0.0) * (scale - 1)
            theirs = sum(split.values()) + split.get(path, 0.0) * (scale - 1)
            if theirs < mine * (1 - 1e-9):
                return Decider(fact, factor, name)
    return None


def _split(question: Question, assignment: Sequence[int]) -> dict[str, float]:
    """Seconds of a plan by the path of the number that sets them."""
    problem, target = question.problem, question.target
    split: dict[str, float] = {}

    def add(path: str, seconds: float) -> None:
        split[path] = split.get(path, 0.0) + seconds

    for unit, members, device in zip(problem.units, question.units, assignment, strict=True):
        name, roof = problem.devices[device], 0.0
        if target.devices[device].calibration is not None:
            add(f"device.{name}.calibration", unit.seconds[device] or 0.0)
            continue
        if all((k, device) in question.compiled for k in members):
            add(f"device.{name}.compiler", unit.seconds[device] or 0.0)  # no number of the target sets it
            continue
        for k in members:
            answer = question.answers[k][device]
            if isinstance(answer, Implementation):
                by = f"memory.{answer.memory}.bandwidth" if answer.memory else f"device.{name}.peak.{answer.compute_dtype}"
                add(by, answer.seconds)
                roof += answer.seconds
        add(f"device.{name}.launch", max(0.0, (unit.seconds[device] or 0.0) - roof))
    found = price(problem, assignment)
    for piece in found.pieces if found is not None else ():
        measured = "" if target.devices[piece.device].calibration is None else "calibration."
        add(f"device.{problem.devices[piece.device]}.{measured}dispatch", problem.dispatch[piece.device])
    for net in problem.nets:
        source = problem.host if net.producer < 0 else assignment[net.producer]
        wanted = {assignment[c] for c in net.consumers} | ({problem.host} if net.to_host else set())
        for device in sorted(wanted - {source}):
            tensor = question.graph.tensor(net.tensor)
            for hop in route(target, problem.devices[source], problem.devices[device], tensor) or ():
                link = f"link.{hop.link.source}-{hop.link.destination}"
                add(f"{link}.handoff", hop.link.handoff)
                add(f"{link}.copy_bandwidth", hop.seconds - hop.link.handoff)
    return split
