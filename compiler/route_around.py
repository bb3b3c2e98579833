"""When a runtime refuses a segment, or computes it wrong, although the target's table allowed it: find the operator, place again.

Each step is a decision of the bundle and a note with the line to add to the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ..passes.rewrite import Decision
from ..targets.model import Target
from .ahead_of_time import DeviceRefused
from .culprits import Culprit, find_culprits
from .devices.adapter import Adapter, adapter_for
from .errors import BundleError, VerifyError
from .fitting_inputs import MadeUp
from .plan_model import PlannedModel
from .reference import Reference, read_graph
from .segments import Compiled, Segment
from .slice_model import run_on_cpu

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

RULE = "route_around"
MOST = 12
"""Rounds; each denies at least one kind of operator."""
Result = TypeVar("Result")
Tell = Callable[[str], None]


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

    def __init__(self, device: str, culprits: Sequence[Culprit], cause: Exception) -> None:
        super().__init__(f"{device}: {'; '.join(culprit.reason for culprit in culprits)}")
        self._found = (device, tuple(culprits), cause)

    @property
    def found(self) -> tuple[str, tuple[Culprit, ...], Exception]:
        return self._found


def routed(attempt: Callable[[Target, tuple[Decision, ...]], Result], target: Target) -> Result:
    """The first attempt whose segments every runtime takes and computes right. Raises what `attempt` raises, and after MOST rounds the
    last reason."""
    steps: tuple[Decision, ...] = ()
    for _ in range(MOST):
        try:
            return attempt(target, steps)
        except Reroute as problem:
            device, culprits, cause = problem.found
            steps += tuple(_decision(device, culprit) for culprit in culprits)
            target = _without(target, device, culprits)
    raise cause


def blame(problem: DeviceRefused | WrongOnDevice, planned: PlannedModel, given: Mapping[str, Array] | None, tell: Tell) -> NoReturn:
    """Raises Reroute if operators can be named that a device refuses or computes wrong, else what the problem is without that."""
    compiled = planned.compiled
    suspects = [problem.segment] if isinstance(problem, DeviceRefused) else compiled.segments
    inputs = given if given is not None else _made_up(planned)
    if inputs is not None:
        _blame(compiled, suspects, inputs, problem, tell)
    raise problem.otherwise if isinstance(problem, WrongOnDevice) else problem


def _made_up(planned: PlannedModel) -> Mapping[str, Array] | None:
    """Inputs that the untouched model takes; None where none can be made up."""
    path = planned.loaded.path
    model = read_graph(path)
    specs = planned.compiled.tensors
    shapes = {name: shape for name in planned.compiled.graph_inputs if (shape := specs[name].shape) is not None}
    found = MadeUp(model, Reference(path, model), shapes, planned.compiled.graph_inputs).attempt(0)
    return None if found is None else found[0]


def _blame(compiled: Compiled, suspects: Sequence[Segment], inputs: Mapping[str, Array], problem: Exception, tell: Tell) -> None:
    values: dict[str, Any] = dict(inputs)
    for segment in compiled.segments:
        runtime = compiled.runtimes[segment.device]
        adapter = adapter_for(runtime.adapter, runtime.words)
        if adapter is not None and segment in suspects and _may_err(adapter, problem):
            given = {name: values[name] for name in segment.inputs}
            culprits = find_culprits(segment.model, given, adapter, runtime.words, tell)
            if culprits:
                raise Reroute(segment.device, culprits, problem)
        values.update(run_on_cpu(segment.model, values))


def _may_err(adapter: Adapter, problem: Exception) -> bool:
    """A runtime that only compiles here cannot have computed anything wrong."""
    lack = adapter.cannot_compile() if isinstance(problem, DeviceRefused) else adapter.missing()
    return adapter.name != "ort" and lack is None


def _without(target: Target, device: str, culprits: Sequence[Culprit]) -> Target:
    denied = tuple(culprit.deny for culprit in culprits)
    devices = tuple(replace(d, denies=(*d.denies, *denied)) if d.name == device else d for d in target.devices)
    return replace(target, devices=devices)


def _decision(device: str, culprit: Culprit) -> Decision:
    reason = f"{culprit.operator} is kept off {device}: {culprit.reason}; to say so in the target: {culprit.line}"
    return Decision(rule=RULE, site=culprit.node, tensor="", taken=True, reason=reason, bound=0.0, contract="exact")
