"""Segments that onnxruntime's own graph optimiser makes wrong or fails on; the policy for them: they run without the optimiser at fault.

Every segment that onnxruntime's CPU runs is tried as it stands in the bundle and with optimisations off, on the values that reach it. Where
the two are further apart than rounding explains, or only the second runs, the optimiser is found by bisection. All of it in a process
of its own (probe/settings_process.py): a runtime that is wrong may also crash or hang.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from ..probe.optimiser_fault import Tried, find_settings, told
from ..probe.settings_process import SettingsProcess
from ..probe.value_gap import ceiling, gap
from ..quantities import time
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
            if _plain_on_cpu(record) and (one := _Suspect(segment, run, right.outputs, self.meter, self.tell).settings()) is not None:
                found.append(one)
        return tuple(found)


def _plain_on_cpu(record: SegmentRecord) -> bool:
    """onnxruntime's CPU runs the segment, be it as a stand-in, and nothing is left out for it yet."""
    runtime = record.runtime
    untouched = OrtSettings(runtime.optimisation, runtime.optimizers_off) == DEFAULT
    return untouched and (runtime.adapter == "ort" or absence(runtime.adapter, runtime.options) is not None)


class _Suspect:
    """A segment that onnxruntime's CPU runs, and its right outputs."""

    def __init__(
        self, segment: Segment, run: Callable[..., Any], right: Mapping[str, Any], meter: Meter, tell: Callable[[str], None]
    ) -> None:
        self._segment, self._run, self._right, self._meter, self._tell = segment, run, right, meter, tell
        self._ceiling = ceiling(segment.without_weights())
        self._name = f"segment {segment.index} ({segment.device})"

    def settings(self) -> SettingsOfSegment | None:
        """None where there is no fault, or nothing that can be left out cures it."""
        fault = self._try(DEFAULT)
        if fault is None or not fault.suspicious:
            return None
        self._tell(f"which optimiser of onnxruntime is wrong about {self._name}")
        settings = find_settings(self._try, fault)
        if settings is None:
            return None
        reason = f"{_blame(settings, fault, self._name)}; cost: {self._cost(settings, fault)}"
        decision = Decision(rule=RULE, site=self._name, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")
        return SettingsOfSegment(key=key_of(self._segment), settings=settings, decision=decision)

    def _try(self, settings: OrtSettings) -> Tried | None:
        if not self._meter.may_probe(1):
            return None
        ran = self._run(settings)
        if ran.problem:
            return Tried(ran.problem, 0.0)
        found = gap(self._right, ran.outputs, self._ceiling)
        return Tried("", found.score, found.words)

    def _cost(self, settings: OrtSettings, fault: Tried) -> str:
        if fault.problem:
            return "unknown, since it does not run otherwise"
        ran = self._run(DEFAULT, settings, timed=True)
        return "unknown" if ran.problem else cost(*ran.seconds)


def cost(before: Sequence[float], after: Sequence[float]) -> str:
    """In words: the medians of runs that took turns, and whether the difference is more than their spread."""
    medians = statistics.median(before), statistics.median(after)
    times = f"{time(medians[0])} before, {time(medians[1])} now, medians of {len(before)} runs in turn"
    (low, _, _), (_, _, high) = (statistics.quantiles(seconds, n=4) for seconds in (after, before))
    if low <= high:
        return f"none beyond the spread of the measurement ({times})"
    return f"{medians[1] / medians[0]:.2f}x of the segment's time ({times})"


def _blame(settings: OrtSettings, fault: Tried, segment: str) -> str:
    """What is wrong, and what is done about it."""
    names = settings.optimizers_off
    if not names:
        whose, remedy = "optimisations", "no few of them are at fault"
        how = "without any" if settings == OFF else f"with its {settings.optimisation} ones alone"
        return f"onnxruntime's {whose} {_does(fault, segment, 'compute', 'fail on')}, and {remedy}: it runs {how}"
    if len(names) == 1:
        return f"onnxruntime's optimiser {names[0]} {_does(fault, segment, 'computes', 'fails on')}: it is disabled for this segment"
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"onnxruntime's optimisers {listed} {_does(fault, segment, 'compute', 'fail on')}: they are disabled for this segment"


def _does(fault: Tried, segment: str, computes: str, fails: str) -> str:
    if fault.problem:
        return f"{fails} {segment} ({told(fault.problem)})"
    return f"{computes} {segment} wrong ({fault.words})"
