"""Which operators of a plan a runtime refuses or computes wrong: its segments one after the other, on the values that reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...passes.place.segment import Segment
from ...targets.model import Target
from ..devices.adapter import Adapter
from ..devices.find_adapter import adapter_for
from ..errors import UserError
from ..inputs.fitting_inputs import MadeUp
from ..plan.plan_model import PlannedModel
from ..plan.views import carry_out
from ..probe.culprits import find_culprits
from ..probe.slice_model import run_on_cpu
from ..verify.reference import Reference, read_graph
from .route_around import operators_on
from .search_budget import Meter
from .verdict import Fault, Faulty

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def find_fault(
    kind: Fault,
    planned: PlannedModel,
    suspects: Sequence[Segment],
    problem: UserError,
    inputs: Mapping[str, Array] | None,
    meter: Meter,
    tell: Callable[[str], None],
) -> Faulty | None:
    """The operators at fault in the first of the `suspects` that has any; None where no operator can be named.

    inputs: arrays by name for the model, else generated ones. problem: what to raise if nothing else is tried."""
    compiled = planned.compiled
    values = dict[str, Any]((inputs if inputs is not None else generated_inputs(planned)) or {})
    if not values and compiled.graph_inputs:
        return None
    for segment in compiled.segments:
        values.update(carry_out(compiled, values))
        runtime = compiled.runtimes[segment.device]
        adapter = adapter_for(runtime.adapter, runtime.words)
        if adapter is not None and segment in suspects and _may_err(adapter, kind):
            given = {name: values[name] for name in segment.inputs}
            compiled_whole = kind == "computed wrong"
            culprits = find_culprits(segment.model, given, adapter, runtime.words, tell, meter.may_probe, compiled=compiled_whole)
            if culprits:
                return Faulty(
                    kind=kind,
                    device=segment.device,
                    culprits=culprits,
                    operators=operators_on(segment.device, compiled.segments),
                    writers=_writers(planned, segment),
                    problem=problem,
                    unjudged=unjudged_devices(planned.work.target),
                    holding=frozenset(one.device for one in compiled.segments),
                )
        values.update(run_on_cpu(segment.model, values))
    return None


def generated_inputs(planned: PlannedModel, seed: int = 0) -> Mapping[str, Array] | None:
    """Inputs that the untouched model accepts; None if none can be generated."""
    source = planned.loaded.source
    model = read_graph(source)
    specs = planned.compiled.tensors
    shapes = {name: tuple(dim or 0 for dim in shape) for name in planned.compiled.graph_inputs if (shape := specs[name].shape) is not None}
    found = MadeUp(model, Reference(source, model), shapes, planned.compiled.graph_inputs).attempt(seed)
    return None if found is None else found[0]


def unjudged_devices(target: Target) -> frozenset[str]:
    """Devices whose runtimes are not here, but for the host."""
    adapters = {device.name: adapter_for(device.runtime.adapter, device.runtime.words) for device in target.devices}
    return frozenset(name for name, adapter in adapters.items() if adapter is None or adapter.missing()) - {target.host.name}


def suspected_devices(planned: PlannedModel) -> frozenset[str]:
    """Devices that computed segments themselves, onnxruntime's CPU left out."""
    found = set()
    for device, runtime in planned.compiled.runtimes.items():
        adapter = adapter_for(runtime.adapter, runtime.words)
        if adapter is not None and _may_err(adapter, "computed wrong"):
            found.add(device)
    return frozenset(found) & {segment.device for segment in planned.compiled.segments}


def _may_err(adapter: Adapter, kind: Fault) -> bool:
    """A runtime that only compiles here cannot have computed anything wrong."""
    lack = adapter.cannot_compile() if kind == "refused by a runtime" else adapter.missing()
    return adapter.name != "ort" and lack is None


def _writers(planned: PlannedModel, segment: Segment) -> Mapping[str, str]:
    """The rule that wrote a node of the segment, by the node's name (or its first output, where it has none)."""
    rules = {tensor: site.implementation.rule for site in planned.work.sites for tensor in site.made}
    nodes = segment.part.nodes
    return {node.name or node.outputs[0]: rules[node.outputs[0]] for node in nodes if node.outputs[0] in rules}
