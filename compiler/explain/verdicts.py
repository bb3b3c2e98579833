"""What every device says of one operator: the line that takes it and the values its condition saw, or the conjunct that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...passes.graph.node import Node
from ...passes.place.candidates import NATIVE, Implementation, Refusal
from ...targets.explain import witness
from ...targets.formula import render
from ...targets.model import Device
from ...targets.support import Yes, environment_of, supports
from ..plan.sensitivity import Decider
from .groups import Extra, compared, elsewhere_reason, reason_key
from .open_shapes import with_origin
from .plans import ExplainedPlan


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """What one device says about an operator, and what it would cost there."""

    device: str
    runs: bool
    """Whether it could run there."""
    here: bool
    """Whether the plan has it there."""
    because: str
    """The line that takes it and what its condition saw; or the first reason against it."""
    more_reasons: tuple[str, ...]
    rule: str
    """"native", or the rewrite it would take; "" where it cannot run."""
    seconds: float | None
    """As a kernel of its own."""
    native: str = ""
    """Why the device does not take the operator as it is, where it could run a rewrite of it."""
    extra: Extra | None = None
    """Of the cheapest plan with it there over the plan."""
    priced: bool = True
    """Whether that plan was looked for."""
    guesses: tuple[Decider, ...] = ()

    @property
    def cost(self) -> str:
        """ "" where it is here, cannot run, or no plan was looked for."""
        return "" if self.here or not (self.runs and self.priced) else elsewhere_reason(self.device, self.extra)


@dataclass(frozen=True, slots=True)
class Alike:
    """Operators of one kind of which every device says the same, and which run on the same device."""

    operator: str
    numbers: tuple[int, ...]
    runs_on: str
    seconds: float
    verdicts: tuple[DeviceVerdict, ...]


def alike(plan: ExplainedPlan, numbers: Sequence[int], most: int | None = None) -> tuple[Alike, ...]:
    """The operators gathered by what the devices say, most expensive first. The model is planned anew with the first `most` groups on each
    other device that could run them (None for all), which is what prices them there."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for k in numbers:
        answers = tuple(
            reason_key(a.reasons[0]) if isinstance(a, Refusal) else (a.rule, a.origin, reason_key(plan.native_refusal(k, d)))
            for d, a in enumerate(plan.answers[k])
        )
        groups.setdefault((plan.nodes[k].kind, plan.places[k], answers), []).append(k)
    found = []
    ranked = sorted(groups.values(), key=lambda members: -sum(plan.seconds[k] for k in members))
    for rank, members in enumerate(ranked):
        place, priced = plan.places[members[0]], most is None or rank < most
        runs_on = "" if place is None else plan.target.devices[place].name
        verdicts = tuple(_verdict(plan, members, d, priced) for d in range(len(plan.target.devices)))
        found.append(Alike(plan.nodes[members[0]].kind, tuple(members), runs_on, sum(plan.seconds[k] for k in members), verdicts))
    return tuple(found)


def _verdict(plan: ExplainedPlan, members: Sequence[int], device: int, priced: bool) -> DeviceVerdict:
    """Of the first of them; its price elsewhere is that of all of them."""
    machine, node, answer = plan.target.devices[device], plan.nodes[members[0]], plan.answers[members[0]][device]
    if isinstance(answer, Refusal):
        because = with_origin(answer.reasons[0], plan.work.graph, node)
        return DeviceVerdict(machine.name, False, False, because, answer.reasons[1:], "", None)
    here = plan.places[members[0]] == device
    placement = None if here or not priced else plan.placement
    extra, guesses = (None, ()) if placement is None else compared(placement, members, device, plan.work.effort)
    because = _native(plan, node, device, answer) if answer.rule == NATIVE else _rewritten(answer, machine)
    native = plan.native_refusal(members[0], device)
    return DeviceVerdict(machine.name, True, here, because, (), answer.rule, answer.alone(machine), native, extra, priced, guesses)


def _native(plan: ExplainedPlan, node: Node, device: int, answer: Implementation) -> str:
    machine, view = plan.target.devices[device], plan.work.graph.view(node)
    allowed = supports(machine, view, plan.target.precision)
    if not isinstance(allowed, Yes):
        return answer.origin
    if allowed.rule is None:
        block = next((block.origin for block in machine.supports if block.everything), machine.origin)
        return f"`supports all`, {block}"
    if allowed.rule.where is None:
        return f"`{node.kind}` in {allowed.compute_dtype}, {allowed.rule.origin}"
    values = witness(allowed.rule.where, environment_of(view, machine))
    return f"`{node.kind} where {render(allowed.rule.where)}` ({values}) in {allowed.compute_dtype}, {allowed.rule.origin}"


def _rewritten(answer: Implementation, machine: Device) -> str:
    """An exact rewrite that no line of the target names has the device's own line as its origin."""
    bound = f", within {answer.bound:.3g} (proved)" if answer.bound else ""
    line = "no `rewrite` line needed" if answer.origin == str(machine.origin) else answer.origin
    return f"rewritten by {answer.rule}{bound}, {line}"
