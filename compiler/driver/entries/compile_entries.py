"""One bundle of several entries: the model compiled for each of several sizes, with caches that stay where it is a decoder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from msgspec import structs

from ....targets.model import Target
from ...bundle.manifest import Manifest
from ...bundle.manifest_json import claims_bundle
from ...bundle.packed import pack, packed_note
from ...bundle.publish import stage
from ...bundle.signature import SigningKey, signing_key
from ...emit.emit import check_output
from ...emit.join_entries import Part, join_entries
from ...emit.package import write_manifest
from ...errors import UsageError, VerifyError
from ...hw.load_target import load_target
from ...load.bind_shapes import Shapes
from ...load.source import Model, Source, beside, source_of
from ...load.weights import model_sha256
from ...run.bundle import Bundle
from ...run.verify_entries import verify_steps
from ...state.fixed_models import FixedModels, fixed_models
from ...state.replaced import replaced_states
from ...state.request import StateRequest
from ...verify.report import VerifyReport
from ...verify.required import Requirement, check_met, requirement_of
from ..compile_model import compile_model
from ..job import Clock, Progress
from ..result import CompileResult
from .result import EntriesResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An entry that is to be made."""

    shapes: Shapes
    """Of its dims."""
    tokens: int | None = None
    """That a run takes, of a decoder."""


@dataclass(frozen=True, slots=True)
class _Judging:
    """Whether the bundle is compared with its model, and what is asked of that."""

    verify: bool
    emulate: bool
    required: Requirement | None


@dataclass(frozen=True, slots=True)
class _Wrapping:
    """What is done with the bundle once it is verified."""

    key: SigningKey | None
    compress: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What stays in the arena from run to run."""

    states: tuple[tuple[str, str], ...] = ()
    """Inputs, and the outputs that take their place."""
    fixed: FixedModels | None = None
    """The steps, where the states are caches that grow."""


def compile_entries(
    model: Model,
    target: str | PathLike[str] | Target,
    entries: Mapping[str, Asked],
    *,
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
    output: str | PathLike[str] | None = None,
    verify: bool = True,
    emulate: bool = False,
    require_verified: str | None = None,
    progress: Progress | None = None,
    sign: str | PathLike[str] | None = None,
    compress: bool = False,
    **options: Any,
) -> EntriesResult:
    """state: which inputs are caches, and how long they are; each entry is then a step of so many tokens. Without a length they are states
    that every run replaces. shapes: sizes that all entries share. The others are those of `compile_model`, which this raises the errors
    of, too; then no bundle is written."""
    if not entries:
        raise UsageError("no entry is asked for", help="--bucket decode, or --bucket prefill=128 --bucket decode")
    required, wrapping = requirement_of(require_verified, verify), _Wrapping(None if sign is None else signing_key(sign), compress)
    source, machine = source_of(model), target if isinstance(target, Target) else load_target(target)
    out = Path(output) if output is not None else beside(source, machine.name)
    check_output(out)
    clock, tell = Clock(progress or (lambda message: None)), progress or (lambda message: None)
    sizes = {name: {**(shapes or {}), **asked.shapes} for name, asked in entries.items()}
    kept = _Kept() if state is None else _kept(source, state, entries, sizes, shapes or {}, clock)
    common: dict[str, Any] = {"emulate": emulate, "progress": progress, **options}
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:
        results: dict[str, CompileResult] = {}
        for name in entries:
            tell(f"entry {name}")
            own: dict[str, Any] = {"verify": verify, "require_verified": required}
            if kept.states:  # its steps are compared together
                own = {"verify": False, "states": kept.states}
            if kept.fixed is None:
                own["shapes"] = sizes[name]
            given = source if kept.fixed is None else kept.fixed.steps[name].model
            results[name] = compile_model(given, machine, output=Path(scratch) / name, **common, **own)
        judging = _Judging(verify, emulate, required)
        return _published(source, out, entries, results, kept, judging, wrapping, clock=clock, tell=tell)


def _kept(
    source: Source, state: StateRequest, entries: Mapping[str, Asked], sizes: Mapping[str, Shapes], shapes: Shapes, clock: Clock
) -> _Kept:
    """sizes: of each entry; shapes: those that all share."""
    if state.length is None:
        with clock.stage("find states"):
            return _Kept(states=replaced_states(source, state, sizes))
    fixed = fixed_models(source, state, state.length, _tokens(entries), shapes, clock.stage)
    return _Kept(states=fixed.states, fixed=fixed)


def _tokens(entries: Mapping[str, Asked]) -> dict[str, int]:
    missing = next((name for name, asked in entries.items() if asked.tokens is None), None)
    if missing is not None:
        raise UsageError(f"the entry '{missing}' does not say how many tokens it takes", help=f"--bucket {missing}=16")
    return {name: asked.tokens or 1 for name, asked in entries.items()}


def _published(
    source: Source,
    out: Path,
    entries: Mapping[str, Asked],
    results: Mapping[str, CompileResult],
    kept: _Kept,
    judging: _Judging,
    wrapping: _Wrapping,
    *,
    clock: Clock,
    tell: Callable[[str], None],
) -> EntriesResult:
    with stage(out, claims_bundle) as staged:
        if wrapping.key is not None:
            wrapping.key.make_room(staged.folder)
        with clock.stage("join entries"):
            axis = None if kept.fixed is None else kept.fixed.axis
            joined = join_entries(_parts(entries, results, kept.fixed), kept.states, axis, staged.folder)
            model = structs.replace(joined.model, sha256=model_sha256(source))
            manifest = write_manifest(staged.folder, structs.replace(joined, model=model))
        reports: Mapping[str, VerifyReport | str] = {name: result.verification for name, result in results.items()}
        if kept.states and judging.verify:
            with clock.stage("verify steps"):
                reports = _judged(source, staged.folder, judging, tell)
            manifest = write_manifest(staged.folder, _with_verdicts(manifest, reports))
        if wrapping.compress:
            manifest = write_manifest(staged.folder, pack(staged.folder, manifest))
        if wrapping.key is not None:
            wrapping.key.sign_bundle(staged.folder)
        staged.publish()
    notes = (packed_note(manifest) if wrapping.compress else "", wrapping.key.note if wrapping.key is not None else "")
    return EntriesResult(
        folder=out, manifest=manifest, results=results, verification=reports, seconds=clock.seconds, notes=tuple(filter(None, notes))
    )


def _parts(entries: Mapping[str, Asked], results: Mapping[str, CompileResult], fixed: FixedModels | None) -> list[Part]:
    parts = []
    for name, result in results.items():
        step = None if fixed is None else fixed.steps[name]
        sizes = {dim: size for dim, size in entries[name].shapes.items() if isinstance(size, int)}
        if fixed is not None and step is not None:
            sizes = {fixed.inputs.tokens: step.tokens}
        facts: dict[str, Any] = {"shapes": sizes, "tokens": step and step.tokens, "token_axes": {} if step is None else step.token_axes}
        parts.append(Part(name=name, folder=result.folder, manifest=result.manifest, **facts))
    return parts


def _judged(source: Source, folder: Path, judging: _Judging, tell: Callable[[str], None]) -> Mapping[str, VerifyReport]:
    bundle = Bundle.load(folder)
    reports = verify_steps(source, folder, bundle.manifest, emulate=judging.emulate, tell=tell)
    wrong = next((report.differences for report in reports.values() if report.differences), ())
    if wrong:
        raise VerifyError(
            f"the bundle differs from the model: {'; '.join(wrong)}",
            where=str(source),
            help="please report this, with the model if you can",
        )
    for report in reports.values():
        check_met(report, judging.required, str(source))
    return reports


def _with_verdicts(manifest: Manifest, reports: Mapping[str, VerifyReport | str]) -> Manifest:
    """With what came of comparing each entry."""
    entries = []
    for k, entry in enumerate(manifest.entries):
        report = reports[entry.name]
        if isinstance(report, str):
            entries.append(entry)
            continue
        measured = structs.replace(manifest.errors if entry.plan is None else entry.plan.errors, measured=report.records())
        if entry.plan is None:
            assert k == 0, "the first entry's plan is the manifest's own"
            manifest = structs.replace(manifest, verification=report.verification(), errors=measured)
            entries.append(entry)
        else:
            entries.append(structs.replace(entry, plan=structs.replace(entry.plan, verification=report.verification(), errors=measured)))
    return structs.replace(manifest, entries=tuple(entries))
