"""The operators that are not on the preferred device, gathered by operator and reason, most expensive first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...passes.place.candidates import Refusal
from ...passes.place.force_placement import force
from ...passes.place.placed import Placement
from ...targets.model import Target
from ..errors import UsageError, did_you_mean
from ..plan.sensitivity import Decider, deciding_between
from ..quantities import change
from .open_shapes import with_origin
from .plans import ExplainedPlan

SAME = 0.5e-6
"""Seconds below which two plans count as equally fast."""

GroupKind = Literal["refused", "elsewhere", "unplaceable"]
"""refused: the device cannot run it; elsewhere: it can, and another device is cheaper; unplaceable: no device runs it."""


@dataclass(frozen=True, slots=True)
class Extra:
    """What the cheapest plan with the operators on the device would cost more than the plan, in seconds."""

    total: float
    compute: float
    dispatch: float
    handoff: float


@dataclass(slots=True)
class Group:
    """Operators of one kind that are not on the preferred device for one reason."""

    operator: str
    runs_on: str
    """The device it runs on; "" where none does."""
    kind: GroupKind
    reason: str
    """The device's, with the values of the first operator; for "elsewhere" what the plan says."""
    more_reasons: tuple[str, ...]
    """Why rewrites do not help."""
    native: str = ""
    """For "elsewhere": why the device would run only a rewrite of it; "" where it takes the operator as it is."""
    numbers: list[int] = field(default_factory=list)
    """Of the plan's nodes."""
    seconds: float = 0.0
    extra: Extra | None = None
    """For "elsewhere"; None where no plan at all has them there."""
    guesses: tuple[Decider, ...] = ()
    """Guessed numbers of the target that at half or twice their value would put them there."""


def preferred_device(target: Target, wanted: str | None) -> int:
    """Its number: `wanted`, else the accelerator with the highest sustained peak (the host, if there is none). Raises UsageError."""
    names = [device.name for device in target.devices]
    if wanted is not None:
        if wanted not in names:
            raise UsageError(f"target {target.name} has no device '{wanted}'", help=did_you_mean(wanted, names))
        return names.index(wanted)
    rates = [max((peak.rate for peak in device.peaks), default=0.0) * device.sustained for device in target.devices]
    others = [k for k, name in enumerate(names) if name != target.host.name]
    return max(others, key=lambda k: rates[k], default=names.index(target.host.name))


def group_operators(plan: ExplainedPlan, device: int) -> tuple[Group, ...]:
    """Every operator that does not run on the device is in exactly one group."""
    found: dict[tuple[str, str, str, str], Group] = {}
    for k, (node, row) in enumerate(zip(plan.nodes, plan.answers, strict=True)):
        if plan.places[k] == device:
            continue
        answer, place = row[device], plan.places[k]
        runs_on = "" if place is None else plan.target.devices[place].name
        lost = all(isinstance(other, Refusal) for other in row)
        if plan.placement is None and not lost:
            continue  # without a plan there is nothing to compare with; only unplaceable operators are reported
        kind: GroupKind = "unplaceable" if lost else "refused" if isinstance(answer, Refusal) else "elsewhere"
        reasons = answer.reasons if isinstance(answer, Refusal) else ("",)
        native = plan.native_refusal(k, device)
        key = (node.kind, runs_on, reason_key(reasons[0]), reason_key(native))
        group = found.setdefault(key, Group(node.kind, runs_on, kind, reasons[0], reasons[1:], native))
        group.numbers.append(k)
        group.seconds += plan.seconds[k]
    groups = list(found.values())
    for group in groups:
        group.reason = with_origin(group.reason, plan.work.graph, plan.nodes[group.numbers[0]])
        if group.kind == "elsewhere":
            assert plan.placement is not None
            group.extra, group.guesses = compared(plan.placement, group.numbers, device, plan.work.effort)
            group.reason = elsewhere_reason(plan.target.devices[device].name, group.extra)
    return tuple(sorted(groups, key=lambda group: (-group.seconds, -len(group.numbers), group.operator, group.reason)))


def reason_key(reason: str) -> str:
    """A reason without the values that differ from node to node: equal for operators that fail the same condition of the same line."""
    for verdict in (" is false (", " cannot be decided (", " needs static shapes "):
        if verdict in reason:
            return reason.partition(verdict)[0] + verdict + reason.rpartition(", ")[2]
    return reason


def compared(placement: Placement, numbers: Sequence[int], device: int, effort: float) -> tuple[Extra | None, tuple[Decider, ...]]:
    """What it costs to have those nodes on that device, None where no plan does; and the guesses that decided against it."""
    rival = force(placement, frozenset(numbers), device, effort)
    if rival is None:
        return None, ()
    theirs, ours = rival.solution.price, placement.solution.price
    extra = Extra(theirs.total - ours.total, theirs.compute - ours.compute, theirs.dispatch - ours.dispatch, theirs.handoff - ours.handoff)
    return extra, deciding_between(placement, rival, placement.question.target.devices[device].name) if extra.total > SAME else ()


def elsewhere_reason(device: str, extra: Extra | None) -> str:
    """In words: what is more expensive there, and what is cheaper."""
    if extra is None:
        return f"runs on {device}, but no plan has it there within the limits on memory and partitions"
    if extra.total <= SAME:
        return f"runs on {device} at the same cost: kept beside its neighbours"
    parts = [("compute", extra.compute), ("dispatch", extra.dispatch), ("handoffs", extra.handoff)]
    differences = ", ".join(f"{name} {change(seconds)}" for name, seconds in parts if abs(seconds) >= SAME)
    return f"runs on {device}, but costs {change(extra.total).lstrip('+')} more: {differences}"
