"""Segments that onnxruntime's own graph optimiser makes wrong or fails on; the policy for them: they run without the optimiser at fault.

Every segment that onnxruntime's CPU runs is tried as it stands in the bundle and with optimisations off, on the values that reach it. Where
the two are further apart than rounding explains, or only the second runs, the optimiser is found by bisection. All of it in a process
of its own (probe/settings_process.py): a runtime that is wrong may also crash or hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ...passes.place.segment import Segment
from ...passes.rule.rewrite import Decision
from ..bundle.manifest import Manifest
from ..bundle.plan_records import SegmentRecord
from ..devices.find_adapter import absence
from ..devices.ort_settings import DEFAULT, OFF
from ..errors import UserError
from ..plan.plan_model import PlannedModel
from ..plan.views import carry_out
from ..probe.settings_process import Ran, SettingsProcess
from ..probe.suspect import Suspect, remedy
from ..probe.value_gap import ceiling
from .constraints import SettingsOfSegment, key_of
from .search_budget import Meter
from .state import State
from .verdict import Misoptimised

RULE = "runtime_optimiser"
MOST_SETS = 6
"""Input sets that are tried, at most, until one shows a fault."""


def with_settings(state: State, verdict: Misoptimised) -> State:
    """The state of the next attempt: the same plan, with those segments' settings."""
    keys = {one.key for one in verdict.settings}
    kept = tuple(one for one in state.constraints.settings if one.key not in keys)
    constraints = replace(state.constraints, settings=(*kept, *verdict.settings))
    return replace(state, constraints=constraints, change=verdict.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A bundle that does not run or was refused for its numbers."""

    planned: PlannedModel
    folder: Path
    manifest: Manifest
    problem: UserError
    """What to raise if nothing else is tried."""
    left_out: Mapping[int, SettingsOfSegment]
    """Settings of this attempt, by segment."""


def find_optimiser_faults(
    bundle: Refused, feeds: Iterable[Mapping[str, Any]], meter: Meter, tell: Callable[[str], None]
) -> Misoptimised | None:
    """What onnxruntime's CPU has to leave out in segments of the bundle; None where its optimiser is not at fault.

    feeds: arrays by name for the model, tried in turn. Faults that nothing but a wrong optimiser explains are looked for first. Where there
    are none, what differs at all is left out, and taken back where that did not help."""
    guesses = tuple(one for one in bundle.left_out.values() if not one.wrong)
    if guesses:
        return Misoptimised(tuple(map(_taken_back, guesses)), bundle.problem)
    fed = tuple(islice(feeds, MOST_SETS))
    with SettingsProcess() as process:
        for wrong in (True, False):
            trial = _Trial(bundle, process, wrong, meter, tell)
            if found := next(filter(None, map(trial.faults, fed)), ()):
                return Misoptimised(found, bundle.problem)
    return None


def _taken_back(guess: SettingsOfSegment) -> SettingsOfSegment:
    reason = f"without its optimiser {guess.decision.site} is refused as well: all of them are used again"
    return replace(guess, settings=DEFAULT, wrong=True, decision=replace(guess.decision, reason=reason))


@dataclass(frozen=True, slots=True)
class _Trial:
    bundle: Refused
    process: SettingsProcess
    wrong: bool
    """Only what rounding never explains."""
    meter: Meter
    tell: Callable[[str], None]

    def faults(self, inputs: Mapping[str, Any]) -> tuple[SettingsOfSegment, ...]:
        """Segments at fault on these inputs, up to the first that cannot be run even without optimisations."""
        values, found = dict(inputs), []
        for segment, record in zip(self.bundle.planned.compiled.segments, self.bundle.manifest.segments, strict=True):
            values.update(carry_out(self.bundle.planned.compiled, values))
            given = {name: values[name] for name in segment.inputs if name in values}
            run = partial(self.process.run, self.bundle.folder / record.file, given)
            try:
                right = run(OFF)
            except TypeError:  # a sequence or an optional: what reads it cannot be tried
                break
            if right.problem:
                break
            values.update(right.outputs)
            untried = segment.index not in self.bundle.left_out
            if untried and _on_cpu(record) and (one := self._settings(segment, run, right.outputs)) is not None:
                found.append(one)
        return tuple(found)

    def _settings(self, segment: Segment, run: Callable[..., Ran], right: Mapping[str, Any]) -> SettingsOfSegment | None:
        """For a segment that onnxruntime's CPU runs; None where there is no fault, or nothing that can be left out cures it."""
        what = f"segment {segment.index} ({segment.device})"
        allowed = ceiling(segment.without_weights())
        suspect = Suspect(
            run=run,
            right=right,
            allowed=allowed if self.wrong else allowed.tight(),
            may_try=self.meter.may_probe,
            tell=lambda: self.tell(f"which optimiser of onnxruntime is wrong about {what}"),
        )
        blamed = suspect.blame()
        if blamed is None or blamed.settings is None:
            return None
        reason = f"{blamed.accusation(what, self.wrong)}: {remedy(blamed.settings)}; cost: {blamed.cost}"
        decision = Decision(rule=RULE, site=what, tensor="", taken=False, reason=reason, bound=0.0, contract="exact")
        return SettingsOfSegment(key=key_of(segment), settings=blamed.settings, decision=decision, wrong=self.wrong)


def _on_cpu(record: SegmentRecord) -> bool:
    """onnxruntime's CPU runs the segment, be it as a stand-in."""
    return record.runtime.adapter == "ort" or absence(record.runtime.adapter, record.runtime.options) is not None
