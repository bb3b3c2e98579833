"""Tries a change: it is applied to a copy of the work, every device is asked again, and the model is placed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...passes.place.candidates import Implementation, Refusal
from ...passes.place.placed import DeviceAnswers
from ..errors import UserError
from ..pipeline.work import Work
from .change import Change
from .changes import changes
from .groups import Group
from .plans import ExplainedPlan, answers_for, make_plan

NO_GAIN = 1e-3
"""Relative: smaller differences are below prediction accuracy."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A change and what it brought: a refusal, or a new plan beside the old one."""

    change: Change
    refusal: str
    """Why the device still does not take all of the operators; "" if it does."""
    planned: bool = False
    before: float | None = None
    after: float | None = None
    """Predicted seconds of the model; None without a plan."""
    placed: int = 0
    """How many of the operators the new plan has on the device."""
    segments: tuple[int, int] = (0, 0)
    handoffs: tuple[int, int] = (0, 0)

    @property
    def gain(self) -> float:
        """Seconds saved; 0 where the plan is no better."""
        if self.before is None or self.after is None or self.after > self.before * (1 - NO_GAIN):
            return 0.0
        return self.before - self.after


def names_of(plan: ExplainedPlan, group: Group) -> tuple[str, ...]:
    """The operators by a tensor that each writes, which outlives copies."""
    return tuple(plan.nodes[k].writes[0] for k in group.numbers)


def smallest_change(plan: ExplainedPlan, group: Group, device: int, price: bool, more: Sequence[Change] = ()) -> tuple[Trial, ...]:
    """Changes tried for a group up to the first after which the device takes all of its operators, which is last; with `price` the
    model is placed again with it. If the last has a refusal, nothing worked; empty if there is nothing to try."""
    name, tensors = plan.target.devices[device].name, names_of(plan, group)
    tried = []
    for change in changes(plan.work, tensors, name, more):
        tried.append(try_change(plan, change, tensors, device, price))
        if not tried[-1].refusal:
            break
    return tuple(tried)


def every_change(plan: ExplainedPlan, group: Group, device: int, more: Sequence[Change] = ()) -> tuple[Trial, ...]:
    """All changes, smallest first, each tried to the end."""
    name, tensors = plan.target.devices[device].name, names_of(plan, group)
    return tuple(try_change(plan, change, tensors, device, True) for change in changes(plan.work, tensors, name, more))


def try_change(plan: ExplainedPlan, change: Change, tensors: Sequence[str], device: int, price: bool) -> Trial:
    """One change on a copy of the plan's work."""
    applied = _applied(plan, change, tensors)
    if applied is None:
        return Trial(change, "the change does not apply to these operators")
    work, written = applied
    asked = answers_for(work)
    refusal = _refusal(asked, written, device)
    if refusal or not price:
        return Trial(change, refusal)
    return _priced(plan, change, make_plan(work, asked), written, device)


def together(plan: ExplainedPlan, chosen: Sequence[tuple[Change, Sequence[str]]], device: int) -> Trial | None:
    """All changes at once, which may join segments that each alone leaves apart. None where one does not apply after another."""
    work = plan.work.copy()
    written: list[str] = []
    for change, tensors in chosen:
        applied = change.apply(work, tensors)
        if applied is None:
            return None
        work = applied[0]
        written.extend(applied[1])
    return _priced(plan, chosen[0][0], make_plan(work), written, device)


def _applied(plan: ExplainedPlan, change: Change, tensors: Sequence[str]) -> tuple[Work, tuple[str, ...]] | None:
    try:
        return change.apply(plan.work.copy(), tensors)
    except UserError:
        return None


def _refusal(asked: DeviceAnswers, tensors: Sequence[str], device: int) -> str:
    wanted = set(tensors)
    for node, row in zip(asked.nodes, asked.answers, strict=True):
        answer = row[device]
        if isinstance(answer, Refusal) and wanted.intersection(node.writes):
            return str(answer)
    return ""


def _priced(plan: ExplainedPlan, change: Change, new: ExplainedPlan, tensors: Sequence[str], device: int) -> Trial:
    wanted = set(tensors)
    placed = sum(
        new.places[k] == device and isinstance(new.answers[k][device], Implementation)
        for k, node in enumerate(new.nodes)
        if wanted.intersection(node.writes)
    )
    return Trial(
        change=change,
        refusal="",
        planned=True,
        before=plan.total,
        after=new.total,
        placed=placed,
        segments=(plan.segments, new.segments),
        handoffs=(plan.handoffs, new.handoffs),
    )
