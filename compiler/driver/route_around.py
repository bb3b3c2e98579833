"""When a runtime refuses a segment, or computes it wrong, although the target's table allowed it: find the operator, place again.

Each step is a decision of the bundle and a note with the line to add to the target. An operator that is at fault in a second round is
not met shape by shape: the rule that wrote it is no longer used, or the operator is kept off as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ...passes.rule.rewrite import Decision
from ...targets.model import OperatorRule, Target
from ..devices.adapter import Adapter
from ..devices.find_adapter import adapter_for
from ..emit.ahead_of_time import DeviceRefused
from ..errors import BundleError, Infeasible, TargetError, VerifyError
from ..plan.plan_model import PlannedModel
from ..plan.segments import Segment
from ..probe.culprits import Culprit, find_culprits
from ..probe.slice_model import run_on_cpu
from ..verify.fitting_inputs import MadeUp
from ..verify.reference import Reference, read_graph

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

RULE = "route_around"
MOST = 12
"""Rounds; each denies at least one kind of operator, or gives up a rule."""
FEW = 0.25
"""Of a device's operators: a kind with no more than that is kept off as a whole at the second fault, any kind at the third."""
Result = TypeVar("Result")
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Routes:
    """What the rounds so far found."""

    decisions: tuple[Decision, ...] = ()
    without: frozenset[str] = frozenset()
    """Rules that are no longer used."""
    planned: Mapping[str, int] = field(default_factory=dict)
    """Operators that the first plan had on each device at fault."""
    faults: tuple[tuple[str, str], ...] = ()
    """(device, operator), one for each wrong or refused result."""

    def notes(self, segments: Sequence[Segment]) -> tuple[str, ...]:
        """A line for each device, then one for each step."""
        return (*(self._headline(device, segments) for device in self.planned), *(step.reason for step in self.decisions))

    def _headline(self, device: str, segments: Sequence[Segment]) -> str:
        before, left = self.planned[device], operators_on(device, segments).total()
        number = sum(where == device for where, _ in self.faults)
        results = f"{number} wrong or refused result{'s' if number > 1 else ''}"
        if not left:
            return f"{device} is empty: {before} operators planned, none left there after {results}"
        return f"{device}: {before} operators planned, {max(before - left, 0)} kept off after {results}"


class WrongOnDevice(VerifyError):
    """A bundle differs from its model where a device that is no CPU took part; `otherwise`: what to raise if it is not to blame."""

    def __init__(self, otherwise: VerifyError) -> None:
        super().__init__(otherwise.message, where=otherwise.where, help=otherwise.help)
        self._otherwise = otherwise

    @property
    def otherwise(self) -> VerifyError:
        return self._otherwise


class Reroute(BundleError):
    """Operators to keep off a device; never seen by a user."""

    def __init__(self, device: str, culprits: Sequence[Culprit], cause: Exception, on: Counter[str], rules: Mapping[str, str]) -> None:
        """on: the device's operators by kind. rules: which rule wrote a node, by node."""
        super().__init__(f"{device}: {'; '.join(culprit.reason for culprit in culprits)}")
        self.device, self.culprits, self.cause, self.on, self.rules = device, tuple(culprits), cause, on, rules


def routed(attempt: Callable[[Target, Routes], Result], target: Target, tell: Tell) -> Result:
    """The first attempt whose segments every runtime takes and computes right. Raises what `attempt` raises, and after MOST rounds the
    last reason."""
    routes, narrower, cause = Routes(), None, None
    for number in range(1, MOST + 1):
        try:
            return attempt(target, routes)
        except Reroute as problem:
            narrower = _next(target, routes, problem, wide=False)
            target, routes = _next(target, routes, problem, wide=True)
            cause = problem.cause
            tell(f"round {number}: {routes.decisions[-1].reason}")
        except (TargetError, Infeasible):
            if narrower is None or narrower[1] == routes:
                raise
            (target, routes), narrower = narrower, None  # keeping off more than the fault itself left no plan
    assert cause is not None
    raise cause


def _next(target: Target, routes: Routes, problem: Reroute, wide: bool) -> tuple[Target, Routes]:
    """The target and the routes of the next round; `wide`: with what goes beyond the faults themselves."""
    without, decisions = set(routes.without), list(routes.decisions)
    denied: list[OperatorRule] = []
    for culprit in problem.culprits:
        before = routes.faults.count((problem.device, culprit.operator)) if wide else 0
        rule = problem.rules.get(culprit.node, "")
        if before and rule and rule not in routes.without:
            if rule not in without:
                decisions.append(_given_up(rule, problem.device, culprit))
            without.add(rule)
            continue
        if before and (before > 1 or problem.on[culprit.operator] <= FEW * problem.on.total()):
            culprit = replace(culprit, deny=replace(culprit.deny, where=None))
        if all(rule != culprit.deny for rule in denied):
            decisions.append(_decision(problem.device, culprit))
            denied.append(culprit.deny)
    devices = tuple(replace(d, denies=(*d.denies, *denied)) if d.name == problem.device else d for d in target.devices)
    faults = (*routes.faults, *((problem.device, culprit.operator) for culprit in problem.culprits))
    planned = {problem.device: problem.on.total(), **routes.planned}
    return replace(target, devices=devices), Routes(tuple(decisions), frozenset(without), planned, faults)


def operators_on(device: str, segments: Sequence[Segment]) -> Counter[str]:
    """By kind."""
    return Counter(node.op_type for segment in segments if segment.device == device for node in segment.model.graph.node)


def blame(problem: DeviceRefused | WrongOnDevice, planned: PlannedModel, given: Mapping[str, Array] | None, tell: Tell) -> NoReturn:
    """Raises Reroute if operators can be named that a device refuses or computes wrong, else what the problem is without that."""
    compiled = planned.compiled
    suspects = [problem.segment] if isinstance(problem, DeviceRefused) else compiled.segments
    inputs = given if given is not None else _made_up(planned)
    if inputs is not None:
        _blame(planned, suspects, inputs, problem, tell)
    raise problem.otherwise if isinstance(problem, WrongOnDevice) else problem


def _made_up(planned: PlannedModel) -> Mapping[str, Array] | None:
    """Inputs that the untouched model takes; None where none can be made up."""
    source = planned.loaded.source
    model = read_graph(source)
    specs = planned.compiled.tensors
    shapes = {name: shape for name in planned.compiled.graph_inputs if (shape := specs[name].shape) is not None}
    found = MadeUp(model, Reference(source, model), shapes, planned.compiled.graph_inputs).attempt(0)
    return None if found is None else found[0]


def _blame(planned: PlannedModel, suspects: Sequence[Segment], inputs: Mapping[str, Array], problem: Exception, tell: Tell) -> None:
    compiled, values = planned.compiled, dict[str, Any](inputs)
    for segment in compiled.segments:
        runtime = compiled.runtimes[segment.device]
        adapter = adapter_for(runtime.adapter, runtime.words)
        if adapter is not None and segment in suspects and _may_err(adapter, problem):
            given = {name: values[name] for name in segment.inputs}
            culprits = find_culprits(segment.model, given, adapter, runtime.words, tell)
            if culprits:
                on = operators_on(segment.device, compiled.segments)
                raise Reroute(segment.device, culprits, problem, on, _writers(planned, segment))
        values.update(run_on_cpu(segment.model, values))


def _may_err(adapter: Adapter, problem: Exception) -> bool:
    """A runtime that only compiles here cannot have computed anything wrong."""
    lack = adapter.cannot_compile() if isinstance(problem, DeviceRefused) else adapter.missing()
    return adapter.name != "ort" and lack is None


def _decision(device: str, culprit: Culprit) -> Decision:
    reason = f"{culprit.operator} is kept off {device}: {culprit.reason}; to say so in the target: {culprit.line}"
    return Decision(rule=RULE, site=culprit.node, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")


def _given_up(rule: str, device: str, culprit: Culprit) -> Decision:
    reason = f"the rule {rule} is given up: it wrote the {culprit.operator} of which {device} is at fault again ({culprit.reason})"
    return Decision(rule=RULE, site=culprit.node, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")


def _writers(planned: PlannedModel, segment: Segment) -> Mapping[str, str]:
    """The rule that wrote a node of the segment, by the node's name (or its first output, where it has none)."""
    rules = {tensor: site.implementation.rule for site in planned.work.sites for tensor in site.made}
    nodes = segment.model.graph.node
    return {node.name or node.output[0]: rules[node.output[0]] for node in nodes if node.output[0] in rules}
