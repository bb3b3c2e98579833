"""The plan that `why` explains or compares another one with: what the devices say, and where the operators then run, if anywhere."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

from ...passes.graph.node import Node
from ...passes.place.candidates import Answer, Implementation
from ...passes.place.memory.place_with_memories import fastest
from ...passes.place.place_operators import ask, state
from ...passes.place.placed import DeviceAnswers, Placement, Question
from ...passes.place.solve_placement import place_relaxing
from ...targets.model import Target
from ..bundle.confidence_record import ConfidenceRecord
from ..errors import Infeasible
from ..pipeline.run_passes import run_passes
from ..pipeline.work import Work
from ..plan.compilers.rounds import settle
from ..plan.emitted_plan import EmittedPlan, emitted_plan
from ..plan.operator_seconds import operator_seconds


@dataclass(frozen=True)
class ExplainedPlan:
    """A work, what every device says about its operators, and the placement if there is one."""

    work: Work
    asked: DeviceAnswers
    placement: Placement | None
    """None where some operator has no device, or no placement keeps the target's limits."""

    @property
    def target(self) -> Target:
        return self.work.target

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.asked.nodes

    @property
    def answers(self) -> tuple[tuple[Answer, ...], ...]:
        """Per node and device (in the target's order)."""
        return self.asked.answers

    @cached_property
    def emitted(self) -> EmittedPlan | None:
        """The plan as `compile` would emit it."""
        if self.placement is None:
            return None
        work = replace(self.work, question=self.placement.question, placement=self.placement).copy()
        run_passes(work, lambda _: nullcontext(), after="place-operators")
        return emitted_plan(work)

    @property
    def total(self) -> float | None:
        """Predicted seconds of one run."""
        return None if self.emitted is None else self.emitted.latency

    @property
    def confidence(self) -> ConfidenceRecord | None:
        """How far measurements support `total`; None where no device in use is calibrated."""
        return None if self.emitted is None else self.emitted.confidence

    @property
    def segments(self) -> int:
        return 0 if self.placement is None else len(self.placement.solution.price.pieces)

    @property
    def handoffs(self) -> int:
        """Tensors handed from one device to another."""
        return 0 if self.placement is None else self.placement.handoffs

    @cached_property
    def places(self) -> tuple[int | None, ...]:
        """The number of every node's device; None without a placement."""
        return (None,) * len(self.nodes) if self.placement is None else self.placement.devices

    @cached_property
    def seconds(self) -> tuple[float, ...]:
        """Of every node where it runs; 0 without a placement."""
        if self.placement is None or self.emitted is None:
            return (0.0,) * len(self.nodes)
        return operator_seconds(self.placement, self.emitted.compiled, self.emitted.times)

    def native_refusal(self, number: int, device: int) -> str:
        """Why the device does not take the node as it is, where it could run a rewrite of it; else ""."""
        answer = self.answers[number][device]
        return answer.native_refusal if isinstance(answer, Implementation) else ""


def answers_for(work: Work) -> DeviceAnswers:
    """What every device of the work's target says about every operator of its graph."""
    return ask(work.graph, work.target, work.substitutes, work.families)


def make_plan(work: Work, asked: DeviceAnswers | None = None) -> ExplainedPlan:
    """The fastest placement found, if there is one. `asked`: what `answers_for` gave for this work, where it was asked already."""
    asked = asked or answers_for(work)
    placement = None if asked.unplaceable else _placed(work, state(asked))
    return ExplainedPlan(work, asked, placement)


def _placed(work: Work, question: Question) -> Placement | None:
    try:
        settled = settle(work, question)
    except Infeasible:
        return None
    return settled.placement if settled else fastest(question, lambda each: place_relaxing(each, work.effort))
