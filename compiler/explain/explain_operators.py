"""All operators of a plan: what each device says of them, what they would cost there, and the smallest change that would move them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...passes.place.candidates import Implementation
from ...passes.place.place_operators import state
from ...passes.place.placed import DeviceAnswers, Placement
from ...targets.model import Target
from ..load.bind_shapes import Shapes
from ..load.source import Source
from .as_json import subject_json
from .explain_model import TRIES, Subject
from .groups import Group, preferred_device
from .plans import ExplainedPlan, answers_for, make_plan
from .shapes import prepared
from .trials import Trial, smallest_change
from .verdicts import Alike, alike


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorsExplained:
    """Every operator of a plan is in one subject."""

    plan: ExplainedPlan
    device: str
    """The preferred one, onto which changes would move operators."""
    tries: int
    subjects: tuple[Subject, ...]

    def as_json(self) -> dict[str, Any]:
        """device, tries, latency; subjects as `why --json` has them; tensors: of each that an operator writes, [its subject, the
        operator's predicted seconds]."""
        plan = self.plan
        tensors = {
            name: [number, plan.seconds[k]]
            for number, subject in enumerate(self.subjects)
            for k in subject.alike.numbers
            for name in plan.nodes[k].writes
        }
        subjects = [subject_json(plan, one) for one in self.subjects]
        return {"device": self.device, "tries": self.tries, "latency": plan.total, "subjects": subjects, "tensors": tensors}


def explain_operators(
    model: Source,
    target: Target,
    *,
    shapes: Shapes | None = None,
    plan: Placement | None = None,
    effort: float = 1.0,
    tries: int = TRIES,
) -> OperatorsExplained:
    """What devices of the target say of all operators of the model. plan: a placement of the same model, which is explained where it fits
    the operators as they are asked about here; without one, or where it does not, the fastest is.

    The first `tries` groups are priced on other devices, and the smallest change that would move them to the preferred one is tried, as
    `why` does. Raises what loading the model raises."""
    preferred = preferred_device(target, None)
    work, made = prepared(model, target, shapes or {}, effort)
    asked = answers_for(work)
    placement = None if plan is None else _moved(plan, asked)
    explained = make_plan(work, asked) if placement is None else ExplainedPlan(work, asked, placement)
    groups = alike(explained, range(len(explained.nodes)), tries)
    subjects = tuple(
        Subject(alike=one, tried=_tried(explained, one, preferred) if rank < tries and not made else ()) for rank, one in enumerate(groups)
    )
    return OperatorsExplained(plan=explained, device=target.devices[preferred].name, tries=tries, subjects=subjects)


def _moved(plan: Placement, asked: DeviceAnswers) -> Placement | None:
    """The placement with these operators in place of its own; None where they are not the same, or a device refuses one that it has."""
    if _written(plan.question) != _written(asked) or asked.unplaceable:
        return None
    if not all(isinstance(row[device], Implementation) for row, device in zip(asked.answers, plan.devices, strict=True)):
        return None
    question = state(replace(asked, compiled=plan.question.compiled))
    return replace(plan, question=question) if question.units == plan.question.units else None


def _written(asked: DeviceAnswers) -> list[tuple[str, ...]]:
    return [tuple(node.writes) for node in asked.nodes]


def _tried(plan: ExplainedPlan, one: Alike, device: int) -> tuple[Trial, ...]:
    """The changes up to the one that moves the operators to the device; () where they could run there already."""
    if one.verdicts[device].runs:
        return ()
    group = Group(one.operator, one.runs_on, "refused", one.verdicts[device].because, (), "", list(one.numbers))
    return smallest_change(plan, group, device, True)
