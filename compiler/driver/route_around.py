"""Policy for a runtime that refuses operators, or computes them wrong, although the target's table allows them: place without them.

Each step is a decision of the bundle and a note, with the line to add to the target where a probe confirmed it. Where a rule wrote the
operator at fault the rule is switched off first: another spelling may run on the same device. An operator that is at fault in a second
round is not denied shape by shape, but kept off as a whole. Nothing moves to a device that cannot be judged here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...passes.place.segment import Segment
from ...passes.rule.rewrite import Decision
from ...targets.model import OperatorRule
from ..probe.culprits import Culprit
from ..quantities import count
from .constraints import Constraints
from .state import Routes, State
from .verdict import Faulty, Rejected, Verdict

RULE = "route_around"
FEW = 0.25
"""Of a device's operators: a kind with no more than that is kept off as a whole at the second fault, any kind at the third."""


def around(state: State, verdict: Faulty) -> State:
    """The state of the next attempt. It may keep off more than the faults themselves; then `narrower` does not."""
    narrower = _without(state, verdict, wide=False)
    return replace(_without(state, verdict, wide=True), narrower=narrower)


def _without(state: State, verdict: Faulty, wide: bool) -> State:
    """`wide`: with what goes beyond the faults themselves. Forms that were too coarse may be innocent, now that a device computes
    something else: they come back, and so does the fastest plan."""
    routes, before = state.routes, state.constraints
    disabled, decisions = set(before.disabled), list(routes.decisions)
    denied: list[OperatorRule] = []
    for culprit in verdict.culprits:
        earlier = routes.faults.count((verdict.device, culprit.operator)) if wide else 0
        rule = verdict.writers.get(culprit.node, "")
        if wide and rule and rule not in before.disabled:
            if rule not in disabled:
                decisions.append(_switched_off(rule, verdict.device, culprit))
            disabled.add(rule)
            continue
        if earlier and (earlier > 1 or verdict.operators[culprit.operator] <= FEW * sum(verdict.operators.values())):
            culprit = replace(culprit, deny=replace(culprit.deny, where=None))
        if all(rule != culprit.deny for rule in denied):
            decisions.append(_denied(verdict.device, culprit))
            denied.append(culprit.deny)
    devices = (verdict.device, *(sorted(verdict.unjudged - {verdict.device}) if wide else ()))
    denials = (*before.denials, *((device, rule) for device in devices for rule in denied))
    barred = before.barred | (verdict.unjudged - verdict.holding if wide else frozenset())
    constraints = Constraints(denials=denials, barred=barred, disabled=frozenset(disabled), settings=before.settings)
    faults = (*routes.faults, *((verdict.device, culprit.operator) for culprit in verdict.culprits))
    planned = {verdict.device: sum(verdict.operators.values()), **routes.planned}
    routes = Routes(decisions=tuple(decisions), planned=planned, faults=faults)
    return State(constraints=constraints, routes=routes, change=decisions[-1].reason)


def without_devices(state: State, verdict: Verdict) -> State | None:
    """The last resort: the devices that were at fault, or computed what is wrong, get nothing at all. None where there is none left."""
    found = {device for device, _ in state.routes.faults}
    if isinstance(verdict, Faulty):
        found.add(verdict.device)
    elif isinstance(verdict, Rejected):
        found |= verdict.devices
    given_up = found - state.constraints.barred
    if not given_up or not isinstance(verdict, Faulty | Rejected):
        return None
    routes = state.routes
    decisions = (*routes.decisions, *(_given_up(device, verdict.reason) for device in sorted(given_up)))
    planned = routes.planned
    if isinstance(verdict, Faulty):
        planned = {verdict.device: sum(verdict.operators.values()), **planned}
    barred = state.constraints.barred | given_up | verdict.unjudged
    constraints = Constraints(barred=barred, disabled=state.constraints.disabled, settings=state.constraints.settings)
    return State(constraints=constraints, routes=replace(routes, decisions=decisions, planned=planned), change=decisions[-1].reason)


def notes_of(routes: Routes, segments: Sequence[Segment]) -> tuple[str, ...]:
    """A line for each device at fault, then one for each step."""
    return (*(_headline(routes, device, segments) for device in routes.planned), *(step.reason for step in routes.decisions))


def _headline(routes: Routes, device: str, segments: Sequence[Segment]) -> str:
    before, left = routes.planned[device], operators_on(device, segments).total()
    number = sum(where == device for where, _ in routes.faults)
    results = count(number, "wrong or refused result")
    if not left:
        return f"{device} is empty: {before} operators planned, none left there after {results}"
    return f"{device}: {before} operators planned, {max(before - left, 0)} kept off after {results}"


def operators_on(device: str, segments: Sequence[Segment]) -> Counter[str]:
    """Operators of the device's segments, by kind."""
    return Counter(node.operator for segment in segments if segment.device == device for node in segment.part.nodes)


def _denied(device: str, culprit: Culprit) -> Decision:
    advice = f"; to say so in the target: {culprit.line}" if culprit.confirmed else "; on other inputs it was right"
    reason = f"{culprit.operator} is kept off {device}: {culprit.reason}{advice}"
    return Decision(rule=RULE, site=culprit.node, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")


def _given_up(device: str, reason: str) -> Decision:
    return Decision(RULE, device, "", False, f"{device} is left out, since no plan with it was right: {reason}", 0.0, "exact")


def _switched_off(rule: str, device: str, culprit: Culprit) -> Decision:
    reason = f"the rule {rule} is disabled from here on: it wrote the {culprit.operator} that {device} gets wrong ({culprit.reason})"
    return Decision(rule=RULE, site=culprit.node, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")
