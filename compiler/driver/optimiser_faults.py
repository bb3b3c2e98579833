"""Segments that onnxruntime's own graph optimiser makes wrong or fails on; the policy for them: they run without the optimiser at fault.

Every segment that onnxruntime's CPU runs is tried as it stands in the bundle and with optimisations off, on the values that reach it. Where
the two are further apart than rounding explains, or only the second runs, the optimiser is found by bisection. All of it in a process
of its own (probe/settings_process.py): a runtime that is wrong may also crash or hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...passes.place.segment import Segment
from ...passes.rule.rewrite import Decision
from ..bundle.manifest import Manifest
from ..bundle.plan_records import SegmentRecord
from ..devices.find_adapter import absence
from ..devices.ort_settings import DEFAULT, OFF, OrtSettings
from ..errors import UserError
from ..plan.plan_model import PlannedModel
from ..probe.settings_process import Ran, SettingsProcess
from ..probe.suspect import Suspect, remedy
from ..probe.value_gap import ceiling
from .constraints import SettingsOfSegment, key_of
from .find_fault import generated_inputs
from .search_budget import Meter
from .state import State
from .verdict import Misoptimised

RULE = "runtime_optimiser"
SETS = 3
"""Made-up input sets that are tried, at most, until one shows a fault."""


def with_settings(state: State, verdict: Misoptimised) -> State:
    """The state of the next attempt: the same plan, with those segments' settings."""
    keys = {one.key for one in verdict.settings}
    kept = tuple(one for one in state.constraints.settings if one.key not in keys)
    constraints = replace(state.constraints, settings=(*kept, *verdict.settings))
    return replace(state, constraints=constraints, change=verdict.reason)


def find_optimiser_faults(
    planned: PlannedModel,
    folder: Path,
    manifest: Manifest,
    problem: UserError,
    inputs: Mapping[str, Any] | None,
    meter: Meter,
    tell: Callable[[str], None],
) -> Misoptimised | None:
    """What onnxruntime's CPU has to leave out in segments of the bundle in `folder`; None where its optimiser is not at fault.

    inputs: arrays by name for the model, else generated ones. problem: what to raise if nothing else is tried."""
    trial = _Trial(planned, folder, manifest, meter, tell)
    with SettingsProcess() as process:
        for values in _feeds(planned, inputs):
            if found := trial.faults(process, values):
                return Misoptimised(found, problem)
    return None


def _feeds(planned: PlannedModel, inputs: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """What verification feeds, too; one empty set for a model without inputs."""
    if inputs is not None:
        yield inputs
    made = (generated_inputs(planned, seed) for seed in range(SETS if planned.compiled.graph_inputs else 1))
    yield from (found for found in made if found is not None)


@dataclass(frozen=True, slots=True)
class _Trial:
    planned: PlannedModel
    folder: Path
    manifest: Manifest
    meter: Meter
    tell: Callable[[str], None]

    def faults(self, process: SettingsProcess, inputs: Mapping[str, Any]) -> tuple[SettingsOfSegment, ...]:
        """Segments at fault on these inputs, up to the first that cannot be run even without optimisations."""
        values, found = dict(inputs), []
        for segment, record in zip(self.planned.compiled.segments, self.manifest.segments, strict=True):
            given = {name: values[name] for name in segment.inputs if name in values}
            run = partial(process.run, self.folder / record.file, given)
            try:
                right = run(OFF)
            except TypeError:  # a sequence or an optional: what reads it cannot be tried
                break
            if right.problem:
                break
            values.update(right.outputs)
            if _plain_on_cpu(record) and (one := _settings(segment, run, right.outputs, self.meter, self.tell)) is not None:
                found.append(one)
        return tuple(found)


def _plain_on_cpu(record: SegmentRecord) -> bool:
    """onnxruntime's CPU runs the segment, be it as a stand-in, and nothing is left out for it yet."""
    runtime = record.runtime
    untouched = OrtSettings(runtime.optimisation, runtime.optimizers_off) == DEFAULT
    return untouched and (runtime.adapter == "ort" or absence(runtime.adapter, runtime.options) is not None)


def _settings(
    segment: Segment, run: Callable[..., Ran], right: Mapping[str, Any], meter: Meter, tell: Callable[[str], None]
) -> SettingsOfSegment | None:
    """For a segment that onnxruntime's CPU runs; None where there is no fault, or nothing that can be left out cures it."""
    what = f"segment {segment.index} ({segment.device})"
    suspect = Suspect(
        run=run,
        right=right,
        allowed=ceiling(segment.without_weights()),
        may_try=meter.may_probe,
        tell=lambda: tell(f"which optimiser of onnxruntime is wrong about {what}"),
    )
    blamed = suspect.blame()
    if blamed is None or blamed.settings is None:
        return None
    reason = f"{blamed.accusation(what)}: {remedy(blamed.settings)}; cost: {blamed.cost}"
    decision = Decision(rule=RULE, site=what, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")
    return SettingsOfSegment(key=key_of(segment), settings=blamed.settings, decision=decision)
