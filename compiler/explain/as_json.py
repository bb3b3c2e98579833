"""What `why` says, as plain data with stable keys: seconds, plain names, null for what is not there. The screen prints the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from ...passes.place.uncosted import uncosted
from ..plan.forced import contradiction, forced_by_limits
from ..plan.sensitivity import Decider
from ..plan.uncosted import cost_lines, placed_parts, uncosted_records
from .explain_model import GroupRow, Subject, Why
from .groups import Extra
from .plans import ExplainedPlan
from .trials import Trial
from .verdicts import DeviceVerdict


def as_json(why: Why) -> dict[str, Any]:
    """model, target, device, assumed_shapes, plan, limits; without a node: groups, together, guesses; with one: asked, traces, subjects."""
    plan = why.plan
    facts: dict[str, Any] = {
        "model": str(why.model),
        "target": plan.target.name,
        "device": why.device,
        "assumed_shapes": why.assumed or None,
        "plan": _plan(plan),
        "limits": _limits(plan),
    }
    if why.asked:
        return facts | {"asked": why.asked, "traces": list(why.traces), "subjects": [subject_json(plan, one) for one in why.subjects]}
    return facts | {
        "all_there": why.all_there,
        "groups": [_row(plan, row) for row in why.rows],
        "together": why.together and _tried(why.together, text="all changes of the groups at once"),
        "guesses": [{"path": g.path, "text": g.text, "origin": g.origin, "decided": g.decided} for g in why.guesses],
    }


def _limits(plan: ExplainedPlan) -> list[str]:
    """What limits forced or contradict, a sentence each."""
    if plan.placement is None:
        return []
    clash = contradiction(plan.placement)
    return [*forced_by_limits(plan.placement), *([clash] if clash else [])]


def _plan(plan: ExplainedPlan) -> dict[str, Any]:
    names = [device.name for device in plan.target.devices]
    counts = {name: sum(place == d for place in plan.places) for d, name in enumerate(names)}
    return {
        "operators": len(plan.nodes),
        "on": counts,
        "nowhere": sum(place is None for place in plan.places),
        "latency": plan.total,
        "confidence": to_builtins(plan.confidence),
        **_costs(plan),
        "segments": plan.segments,
        "handoffs": plan.handoffs,
    }


def _costs(plan: ExplainedPlan) -> dict[str, Any]:
    """uncosted, cost_notes: operators without a cost, and what is to be said of costs."""
    if plan.placement is None:
        return {"uncosted": [], "cost_notes": []}
    parts = placed_parts(plan.placement.question)
    missing = uncosted(plan.work.graph, parts)
    return {"uncosted": to_builtins(uncosted_records(missing)), "cost_notes": cost_lines(parts, missing)}


def share(plan: ExplainedPlan, seconds: float) -> float | None:
    """Of the model's predicted time."""
    return seconds / plan.total if plan.total else None


def _row(plan: ExplainedPlan, row: GroupRow) -> dict[str, Any]:
    group = row.group
    return {
        "operator": group.operator,
        "runs_on": group.runs_on or None,
        "kind": group.kind,
        "reason": group.reason,
        "more_reasons": list(group.more_reasons),
        "native_refusal": group.native or None,
        "count": len(group.numbers),
        "seconds": group.seconds,
        "share": share(plan, group.seconds),
        "nodes": names(plan, group.numbers),
        "extra": _extra(group.extra),
        "guesses": [_decider(one) for one in group.guesses],
        "change": row.tried and _tried(row.tried),
    }


def names(plan: ExplainedPlan, numbers: Sequence[int]) -> list[str]:
    """Of nodes; one without a name goes by the tensor it writes."""
    return [plan.nodes[k].name or plan.nodes[k].writes[0] for k in numbers]


def subject_json(plan: ExplainedPlan, subject: Subject) -> dict[str, Any]:
    """Operators alike: what each device says of them, and the changes that were tried."""
    one = subject.alike
    return {
        "operator": one.operator,
        "runs_on": one.runs_on or None,
        "count": len(one.numbers),
        "seconds": one.seconds,
        "share": share(plan, one.seconds),
        "nodes": names(plan, one.numbers),
        "devices": [_verdict(verdict) for verdict in one.verdicts],
        "changes": [_tried(tried) for tried in subject.tried],
    }


def _verdict(verdict: DeviceVerdict) -> dict[str, Any]:
    return {
        "device": verdict.device,
        "runs": verdict.runs,
        "here": verdict.here,
        "because": verdict.because,
        "more_reasons": list(verdict.more_reasons),
        "rule": verdict.rule or None,
        "native_refusal": verdict.native or None,
        "seconds": verdict.seconds,
        "cost": verdict.cost or None,
        "extra": _extra(verdict.extra),
        "guesses": [_decider(one) for one in verdict.guesses],
    }


def _extra(extra: Extra | None) -> dict[str, float] | None:
    if extra is None:
        return None
    return {"total": extra.total, "compute": extra.compute, "dispatch": extra.dispatch, "handoff": extra.handoff}


def _decider(one: Decider) -> dict[str, Any]:
    return {"path": one.fact.path, "text": one.fact.text, "origin": str(one.fact.origin), "factor": one.factor}


def _tried(tried: Trial, text: str = "") -> dict[str, Any]:
    change = tried.change
    facts: dict[str, Any] = {"kind": change.kind, "text": change.text, "where": change.where or None, "note": change.note}
    facts["rule"] = change.rule or None
    if text:
        facts = {"text": text}
    facts |= {"places": not tried.refusal, "refusal": tried.refusal or None, "planned": tried.planned}
    if tried.planned:
        facts |= {"before": tried.before, "after": tried.after, "gain": tried.gain, "placed": tried.placed}
        facts |= {"segments": list(tried.segments), "handoffs": list(tried.handoffs)}
    return facts
