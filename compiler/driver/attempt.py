"""One attempt of the search: plan, emit beside the place of the bundle, verify, and either keep the bundle or say why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...targets.collection import no_collection
from ..bundle.manifest import Manifest
from ..bundle.manifest_json import claims_bundle
from ..bundle.no_fallback import leave_out_fallbacks, no_fallback_note
from ..bundle.packed import pack, packed_note
from ..bundle.publish import Staged, stage
from ..bundle.signature import SigningKey
from ..bundle.verification_record import NOT_ASKED
from ..emit.ahead_of_time import Refusal, emitted_only
from ..emit.emit import write_bundle
from ..emit.map_weights import map_weights
from ..emit.package import PACKAGE, write_manifest
from ..errors import VerifyError
from ..inputs.samples import Given, first_of
from ..load.source import check_unchanged
from ..pipeline.run_passes import Inserted, PassOptions, Watcher
from ..plan.limits import broken, holds
from ..plan.plan_model import PlannedModel, Unplanned, other_plans, plan_model
from ..precision.accuracy_check import AccuracyCheck
from ..precision.weights.levels_hint import hint_on_levels
from ..reference.recall import Recalling
from ..verify.report import VerifyReport
from ..verify.required import Requirement, check_met
from ..watch.verify_each import PassVerifier
from .constraints import SettingsOfSegment
from .describe import describe
from .entries.compile_memory import check_memory_of
from .feeds import feeds_of
from .find_fault import find_fault, suspected_devices, unjudged_devices
from .job import Job
from .judge_bundle import Judged, judge_bundle
from .optimiser_faults import Refused, find_optimiser_faults
from .result import CompileResult
from .route_around import notes_of
from .search import Log, attempted
from .search_budget import Meter
from .smaller.chosen_precision import ChosenPrecision
from .smaller.pruned import Pruned
from .stages import Stages
from .state import State
from .verdict import Accepted, Fault, Inaccurate, Inexact, Misoptimised, OverLimit, Rejected, Verdict


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle in its place, with its verification or why there is none."""

    manifest: Manifest
    verification: VerifyReport | str
    notes: tuple[str, ...]
    """What writing it came upon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What all attempts of a compilation share. Called with a state of the search, it gives the verdict on it."""

    job: Job
    out: Path
    effort: float
    verify: bool
    required: Requirement | None
    """What a bundle must be verified on to be kept."""
    emulate: bool
    oracle: Recalling
    """What the untouched model computes; every attempt asks the same."""
    inputs: Given | None
    expect: Mapping[str, Any] | None
    """What the source framework computes for `inputs`."""
    watchers: tuple[Watcher, ...]
    own: Inserted
    """The user's own passes."""
    verifier: PassVerifier | None
    meter: Meter
    tell: Callable[[str], None]
    signing: SigningKey | None
    objective: str = "latency"
    """What plans are chosen for (`passes/place/objectives.py`)."""
    precision: ChosenPrecision | None = None
    """Where the model was written in other number formats."""
    pruned: Pruned | None = None
    """Where channels were removed from the model."""
    accuracy: AccuracyCheck | None = None
    """What is measured of a bundle beside its verification."""
    no_fallback: bool = False
    """Whether weights that only a fallback reads are left out."""
    compress: bool = False
    """Whether the weights are kept deflated."""
    resident: int | None = None
    """Bytes of weights that sessions may hold of their own; None for as much as they like."""
    alone: bool = True
    """Whether the bundle is no entry of another one, whose memory is looked at as a whole."""
    hints: bool = False
    """Whether nothing was asked of the model's numbers, so that more may be said of them."""
    diagnose: bool = True
    """Whether to find out by how much limits are broken that no plan keeps."""

    def __call__(self, state: State, log: Log) -> Verdict:
        stages = Stages()
        planned = self._plan(state, stages)
        if isinstance(planned, Unplanned):
            return OverLimit(planned.problem, planned.others)
        settings = state.constraints.settings_for(planned.compiled.segments)
        planned.work.decisions.extend((*state.decisions, *(one.decision for one in settings.values())))
        with self.job.clock.stage("describe"):
            chosen = {index: one.settings for index, one in settings.items()}
            precision = None if self.precision is None else self.precision.record
            pruning = None if self.pruned is None else self.pruned.record
            described = describe(planned, attempted(state, log, "accepted"), chosen, precision, pruning)
        built = self._build(state, planned, described, settings, stages)
        if isinstance(built, Built):
            return Accepted(self._result(state, planned, built, tuple(one.decision.reason for one in settings.values())))
        if isinstance(built, Misoptimised | Inaccurate | OverLimit):
            return built
        with self.job.clock.stage("find culprits"):
            return self._find_fault(planned, built)

    def _plan(self, state: State, stages: Stages) -> PlannedModel | Unplanned:
        constraints = state.constraints
        watchers = (*self.watchers, *((self.verifier,) if self.verifier else ()), *((stages,) if self.verify else ()))
        options = PassOptions(without=constraints.without, inserted=self.own, watchers=watchers, objective=self.objective)
        target = constraints.applied_to(self.job.target)
        faster = state.refused[0].message if state.refused else ""
        # Nearly all that planning makes stays; what watchers and the user's passes make is not known.
        with nullcontext() if watchers or self.own else no_collection():
            return plan_model(self.job.load(), target, self.effort, self.job.clock.stage, options, constraints.plan, faster, self.diagnose)

    def _build(
        self, state: State, planned: PlannedModel, described: Manifest, left_out: Mapping[int, SettingsOfSegment], stages: Stages
    ) -> Built | Refusal | Judged | Misoptimised | Inaccurate | OverLimit:
        """The bundle, published; or the refusal, the judgement, the fault or the limit for which it was not. Raises VerifyError where it
        is not verified as required, TooMuchMemory before anything is written where that would take more than is allowed."""
        if self.verify or self.alone:
            check_memory_of(planned.compiled, planned.work.target, planned.arena.arena.mapped, verify=self.verify)
        with self.job.clock.stage("emit and verify" if self.verify else "emit"), stage(self.out, claims_bundle) as staged:
            notes: list[str] = []
            if self.signing is not None:
                self.signing.make_room(staged.folder)
            manifest = write_bundle(planned.compiled, described, staged.folder, self.tell, notes.append)
            check_unchanged(planned.loaded.files)
            if isinstance(manifest, Refusal):
                return manifest
            if self.resident is not None:
                manifest = write_manifest(staged.folder, map_weights(staged.folder, manifest, self.resident, self.job.target))
            verification: VerifyReport | str = NOT_ASKED
            if self.verify:
                judged = self._judge(planned, staged.folder, manifest, left_out, stages)
                if isinstance(judged, Misoptimised) or judged.against is not None:
                    return judged
                check_met(judged.report, self.required, str(planned.loaded.source))
                manifest, verification = write_manifest(staged.folder, judged.written_into(manifest)), judged.report
            if self.verify and self.accuracy is not None:
                manifest = write_manifest(staged.folder, self._measured(staged.folder, manifest, self.accuracy))
                missed = tuple(limit for limit in manifest.limits if limit.kind == "accuracy" and not holds(limit))
                if missed:
                    return Inaccurate(missed, str(planned.loaded.source))
            if self.no_fallback:
                manifest = write_manifest(staged.folder, leave_out_fallbacks(staged.folder, manifest))
                notes.append(no_fallback_note(manifest))
            if self.compress:
                manifest = write_manifest(staged.folder, pack(staged.folder, manifest))
                notes.append(packed_note(manifest))
            over = _too_large(state, planned, manifest)  # what was verified is part of it
            if over is None:
                self._publish(staged)
            return over or Built(manifest, verification, tuple(dict.fromkeys(notes)))

    def _measured(self, folder: Path, manifest: Manifest, check: AccuracyCheck) -> Manifest:
        made = self.precision.quantised if self.precision is not None else self.pruned.made if self.pruned is not None else None
        with self.job.clock.stage("measure accuracy"):
            return check.measured(folder, manifest, None if made is None else made.data, None if made is None else made.split)

    def _publish(self, staged: Staged) -> None:
        """Signed as it is now, where that was asked for, the bundle takes its place."""
        if self.signing is not None:
            self.signing.sign_bundle(staged.folder)
        staged.publish()

    def _judge(
        self, planned: PlannedModel, folder: Path, manifest: Manifest, left_out: Mapping[int, SettingsOfSegment], stages: Stages
    ) -> Judged | Misoptimised:
        """Asks whether onnxruntime's optimiser is at fault where the bundle does not run or is off."""
        given: dict[str, Any] = {"emulate": self.emulate, "inputs": self.inputs, "expect": self.expect, "oracle": self.oracle}
        given["stages"] = tuple(stages.kept)
        judged = None
        try:
            judged = judge_bundle(folder, planned.loaded, manifest.errors.bounds, **given)
            if judged.against is None or judged.faithful:
                return judged
            problem = judged.against.problem
        except VerifyError as failure:
            problem = failure
        refused = Refused(planned=planned, folder=folder, manifest=manifest, problem=problem, left_out=left_out)
        feeds = feeds_of(planned, self.oracle, self.inputs, None if judged is None else judged.report)
        fault = find_optimiser_faults(refused, feeds, self.meter, self.tell)
        if fault is None and judged is None:
            raise problem
        return fault or judged  # type: ignore[return-value]

    def _find_fault(self, planned: PlannedModel, built: Refusal | Judged) -> Verdict:
        """The operators at fault, if a runtime is to blame and they can be named; else why the bundle is refused."""
        inputs, target = first_of(self.inputs), self.job.target
        if isinstance(built, Refusal):
            kind: Fault = "refused by a runtime"
            found = find_fault(kind, planned, [built.segment], built.problem, inputs, self.meter, self.tell)
            return found or Rejected(built.problem, frozenset({built.segment.device}), unjudged_devices(target))
        against = built.against
        assert isinstance(against, Inexact | Rejected)
        if built.faithful or not built.report.native:
            return against
        segments = planned.compiled.segments
        found = find_fault("computed wrong", planned, segments, against.problem, inputs, self.meter, self.tell)
        if found is not None or isinstance(against, Inexact):
            return found or against
        return Rejected(against.problem, suspected_devices(planned), unjudged_devices(target))

    def _result(self, state: State, planned: PlannedModel, built: Built, left_out: tuple[str, ...]) -> CompileResult:
        return CompileResult(
            folder=self.out,
            manifest=built.manifest,
            work=planned.work,
            compiled=planned.compiled,
            predicted=planned.predicted,
            times=planned.times,
            notes=(
                *notes_of(state.routes, planned.compiled.segments),
                *left_out,
                *self.job.notes,
                *(self.precision.notes if self.precision is not None else ()),
                *(self.pruned.notes if self.pruned is not None else ()),
                *planned.loaded.notes,
                *planned.notes,
                *(hint_on_levels(planned.loaded, self.job.target) if self.hints else ()),
                *(step.reason for step in state.steps),
                *emitted_only(built.manifest),
                *built.notes,
                *((self.signing.note,) if self.signing is not None and self.signing.note else ()),
            ),
            seconds=self.job.clock.seconds,
            verification=built.verification,
            checked=tuple(self.verifier.checked) if self.verifier else (),
        )


def _too_large(state: State, planned: PlannedModel, manifest: Manifest) -> OverLimit | None:
    """The verdict where the bundle takes more on disk than the target allows: only now it is known."""
    problem = broken([limit for limit in manifest.limits if limit.kind == PACKAGE])
    if problem is None:
        return None
    return OverLimit(problem, other_plans(planned.work, problem) if state.constraints.plan is None else ())
