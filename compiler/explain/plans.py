"""A plan with what every operator costs where it runs: what `why` explains, and what it compares other plans with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ...passes.graph.node import Node
from ...passes.place.candidates import NATIVE, Answer, Candidates, Implementation, Refusal
from ...passes.place.known_plans import known_assignments
from ...passes.place.place_operators import state, unplaceable
from ...passes.place.placed import Placement
from ...passes.place.quantised import agree
from ...passes.solve.problem import price
from ...passes.solve.solve import improve, solve
from ...targets.model import Device, Target
from ..errors import Infeasible
from ..pipeline.bodies import place_operators
from ..pipeline.work import Work

FORCED_SECONDS = 0.02
"""Of the solver's clock, for a plan that only says what something would cost."""


@dataclass(frozen=True)
class Plan:
    work: Work
    nodes: tuple[Node, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """Per node and device (in the target's order)."""
    placement: Placement | None
    """None where some operator has no device, or no placement keeps the target's limits."""

    @property
    def target(self) -> Target:
        return self.work.target

    @property
    def total(self) -> float | None:
        """Predicted seconds of one run."""
        return None if self.placement is None else self.placement.solution.price.total

    @property
    def segments(self) -> int:
        return 0 if self.placement is None else len(self.placement.solution.price.pieces)

    @cached_property
    def places(self) -> tuple[int | None, ...]:
        """The device of every node."""
        if self.placement is None:
            return (None,) * len(self.nodes)
        found: list[int | None] = [None] * len(self.nodes)
        for members, device in zip(self.placement.question.units, self.placement.solution.assignment, strict=True):
            for k in members:
                found[k] = device
        return tuple(found)

    @cached_property
    def seconds(self) -> tuple[float, ...]:
        """Of every node where it runs: its part of its unit's time, kernels and launches included; 0 without a placement."""
        found = [0.0] * len(self.nodes)
        if self.placement is None:
            return tuple(found)
        question = self.placement.question
        for unit, members, device in zip(question.problem.units, question.units, self.placement.solution.assignment, strict=True):
            alone = [alone_seconds(self.answers[k][device], self.target.devices[device]) or 0.0 for k in members]
            scale = (unit.seconds[device] or 0.0) / sum(alone) if sum(alone) else 0.0
            for k, seconds in zip(members, alone, strict=True):
                found[k] = seconds * scale
        return tuple(found)

    @cached_property
    def _candidates(self) -> Candidates:
        return Candidates(self.work.graph, self.target, self.work.substitutes, self.work.families)

    def native_refusal(self, number: int, device: int) -> str:
        """Why the device does not take the node as it is, where a rewrite of it could run there; "" where it takes it or nothing can."""
        answer = self.answers[number][device]
        if isinstance(answer, Refusal) or answer.rule == NATIVE:
            return ""
        node = self.nodes[number]
        native = self._candidates.ask_as(node, self.work.graph.view(node), self.target.devices[device])
        return str(native) if isinstance(native, Refusal) else ""

    @cached_property
    def handoffs(self) -> int:
        """Tensors handed from one device to another."""
        if self.placement is None:
            return 0
        problem, assignment = self.placement.question.problem, self.placement.solution.assignment
        crossing = 0
        for net in problem.nets:
            source = problem.host if net.producer < 0 else assignment[net.producer]
            crossing += len(({assignment[c] for c in net.consumers} | ({problem.host} if net.to_host else set())) - {source})
        return crossing


def alone_seconds(answer: Answer, device: Device) -> float | None:
    """Of one operator as a kernel of its own; None where the device refuses it."""
    return answer.seconds + answer.launches * device.launch if isinstance(answer, Implementation) else None


Asked = tuple[tuple[Node, ...], tuple[tuple[Answer, ...], ...]]


def ask_devices(work: Work) -> Asked:
    """Every operator, and what every device says of it."""
    candidates = Candidates(work.graph, work.target, work.substitutes, work.families)
    nodes = tuple(work.graph.nodes)
    answers = tuple(tuple(candidates.ask(node, device) for device in work.target.devices) for node in nodes)
    return nodes, agree(work.graph, work.target, candidates, nodes, answers)


def make_plan(work: Work, asked: Asked | None = None) -> Plan:
    """Places the operators; `work` is left with the question and the placement."""
    nodes, answers = asked or ask_devices(work)
    if unplaceable(nodes, answers):
        return Plan(work, nodes, answers, None)
    work.question = state(work.graph, work.target, nodes, answers)
    try:
        place_operators(work)
    except Infeasible:
        return Plan(work, nodes, answers, None)
    return Plan(work, nodes, answers, work.placement)


def all_there(plan: Plan, device: int) -> float | None:
    """Predicted seconds with everything on that device that it can run and the rest where it is; None if that is not possible."""
    if plan.placement is None:
        return None
    problem, ours = plan.placement.question.problem, plan.placement.solution.assignment
    found = price(problem, [device if u.seconds[device] is not None else ours[k] for k, u in enumerate(problem.units)])
    return None if found is None else found.total


def forced(plan: Plan, numbers: Sequence[int], device: int) -> Plan:
    """A cheap plan with those nodes on that device, which runs them all: the cheapest of the known ones, of the plan itself with them
    moved, and of what a short search finds."""
    chosen = set(numbers)
    elsewhere = Refusal("", ("kept off for comparison",))
    answers = tuple(
        tuple(answer if d == device else elsewhere for d, answer in enumerate(row)) if k in chosen else row
        for k, row in enumerate(plan.answers)
    )
    question = state(plan.work.graph, plan.target, plan.nodes, answers)
    problem = question.problem
    moved = []
    for unit, members in zip(problem.units, question.units, strict=True):
        now = plan.places[members[0]]
        moved.append(now if now is not None and unit.seconds[now] is not None else unit.devices[0])
    solution = solve(problem, [*known_assignments(problem), moved, improve(problem, moved)], FORCED_SECONDS * plan.work.effort)
    return replace(plan, answers=answers, placement=Placement(question, solution, None, None) if solution else None)
