"""Recovers what few devices run as one operator (attention, rotary embeddings), where that makes the placement cheaper.

Other recovered operators are in nearly every table, or cost nothing to take apart again. These are not: a device without them runs the
parts, and as an exporter wrote these they may be better than as a rule does. So both graphs are placed, and the cheaper one stays.
onnxruntime's segments get these operators when they are tuned, so this does not concern them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ...passes.library import OFFER
from ...passes.place.place_operators import ask, place, state
from ...passes.rule.apply import apply
from ...passes.rule.rewrite import Decision, Rewrite
from ...passes.stages import simplify
from ...targets.support import lists
from ..quantities import times
from .work import Work

RUNTIME_TUNED = "ort"
"""The runtime whose segments are given these operators later."""


def recover_whole(work: Work) -> None:
    """Leaves the work as it is where no device has such an operator, nothing is found, or the placement is no cheaper."""
    rules = work.enabled(rule for rule in OFFER if _wanted(rule, work))
    if not rules:
        return
    twin = work.copy()
    decisions = apply(twin.graph, rules, work.allow)
    if not any(decision.taken for decision in decisions):
        return
    decisions += simplify(twin.graph, work.without, work.allow)
    parts, whole = predicted(work), predicted(twin)
    if whole is None or (parts is not None and whole >= parts):
        work.decisions.extend(refused(decision, parts, whole) for decision in decisions if decision.rule in {rule.name for rule in rules})
        return
    work.graph = twin.graph
    work.decisions.extend(decisions)
    work.recovered = dict(Counter(node.kind for node in work.graph.nodes))


def _wanted(rule: Rewrite, work: Work) -> bool:
    """Whether the table of a device other than onnxruntime's lists the rule's operator."""
    return any(device.runtime.adapter != RUNTIME_TUNED and lists(device, rule.emits[0]) for device in work.target.devices)


def predicted(work: Work) -> float | None:
    """What the placement predicts for the whole model; None if there is none."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    placement = None if asked.unplaceable else place(state(asked), work.effort)
    return None if placement is None else placement.solution.price.total


def refused(decision: Decision, parts: float | None, whole: float | None) -> Decision:
    """What was decided about a graph that is not taken after all: `whole` seconds with it, `parts` as it is."""
    if not decision.taken:
        return decision
    if whole is None or parts is None:
        return replace(decision, taken=False, reason="with it the model has no valid placement")
    with_it, as_parts = times(whole, parts)
    return replace(decision, taken=False, reason=f"predicted time of the model: {with_it} with it, {as_parts} without")
