"""The last steps of a bundle of several entries: they are joined, verified, packed and signed, and take their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from ....targets.model import Target
from ...bundle.entries import models_of, of_model
from ...bundle.manifest import Manifest
from ...bundle.manifest_json import claims_bundle
from ...bundle.packed import pack, packed_note
from ...bundle.publish import stage
from ...bundle.signature import SigningKey
from ...bundle.verification_record import NOT_ASKED
from ...emit.join_entries import Part, join_entries
from ...emit.join_links import LinkPlan
from ...emit.map_weights import NotKept, map_weights
from ...emit.package import write_manifest
from ...errors import VerifyError
from ...load.source import Source
from ...load.weights import model_sha256
from ...run.bundle import Bundle
from ...run.verify_entries import verify_links, verify_steps
from ...verify.report import VerifyReport
from ...verify.required import Requirement, check_met
from ..job import Clock
from ..result import CompileResult
from .result import EntriesResult

REPORT = "please report this, with the model if you can"


@dataclass(frozen=True, slots=True)
class Judging:
    """Whether the bundle is compared with its model, and what is asked of that."""

    verify: bool
    emulate: bool
    required: Requirement | None


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What is done with the bundle beside joining its entries."""

    key: SigningKey | None
    compress: bool
    resident: int | None
    """Bytes of weights that its sessions may hold of their own."""
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Entries that were compiled, each as a bundle of its own."""

    source: Source
    """The model of the first one."""
    parts: Sequence[Part]
    results: Mapping[str, CompileResult]
    states: tuple[tuple[str, str], ...] = ()
    """Inputs of the first model, and the outputs that take their place."""
    axes: Mapping[str, int] | None = None
    """By input, along which axis it grows; None where they do not."""
    dtype: str = ""
    """That they are kept in; "" for the model's."""
    links: Sequence[LinkPlan] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    """All models by name, where there are several."""
    finish: Callable[[Manifest], Manifest] = lambda manifest: manifest
    """What is changed in the manifest of the whole before it is written."""
    in_turn: Callable[[Manifest], Manifest | None] = lambda manifest: None
    """The manifest of the whole, of which models take turns in memory; None where they cannot."""
    measured: Callable[[Path, Manifest], Manifest] = lambda folder, manifest: manifest
    """What a run of the verified bundle in the folder adds to its manifest."""
    compared: int = 0
    """Bytes of weights of the float model that `measured` runs beside the bundle; 0 where it runs none."""
    notes: tuple[str, ...] = ()


def publish_entries(
    made: Made, out: Path, judging: Judging, wrapping: Wrapping, *, clock: Clock, tell: Callable[[str], None]
) -> EntriesResult:
    """Writes the bundle. Raises VerifyError where it is not the model, or not what was asked for; then nothing is written."""
    with stage(out, claims_bundle) as staged:
        if wrapping.key is not None:
            wrapping.key.make_room(staged.folder)
        with clock.stage("join entries"):
            joined = join_entries(made.parts, made.states, made.axes, staged.folder, made.links, made.dtype)
            model = structs.replace(joined.model, sha256=model_sha256(made.source))
            manifest = write_manifest(staged.folder, made.finish(structs.replace(joined, model=model)))
        if wrapping.resident is not None:
            with clock.stage("pack weights"):
                manifest = write_manifest(staged.folder, _mapped(made, staged.folder, manifest, wrapping.resident, wrapping.target))
        reports: dict[str, VerifyReport | str] = {name: result.verification for name, result in made.results.items()}
        if made.states and judging.verify:
            with clock.stage("verify steps"):
                reports |= _judged(made.source, staged.folder, judging, tell)
            manifest = write_manifest(staged.folder, _with_verdicts(manifest, reports))
            with clock.stage("measure accuracy"):
                manifest = write_manifest(staged.folder, made.measured(staged.folder, manifest))
        together = _judged_together(made, staged.folder, judging, tell, clock)
        if isinstance(together, VerifyReport):
            manifest = write_manifest(staged.folder, structs.replace(manifest, together=together.verification()))
        if wrapping.compress:
            manifest = write_manifest(staged.folder, pack(staged.folder, manifest))
        if wrapping.key is not None:
            wrapping.key.sign_bundle(staged.folder)
        staged.publish()
    notes = (*made.notes, packed_note(manifest) if wrapping.compress else "", wrapping.key.note if wrapping.key is not None else "")
    return EntriesResult(
        folder=out,
        manifest=manifest,
        results=made.results,
        verification=reports,
        together=together,
        seconds=clock.seconds,
        notes=tuple(filter(None, notes)),
    )


def _mapped(made: Made, folder: Path, manifest: Manifest, budget: int, target: Target) -> Manifest:
    """The manifest with weights that stay in their file. Where sessions of all models at once hold more than the budget, models take turns.
    Raises as `map_weights`."""
    try:
        return map_weights(folder, manifest, budget, target)
    except NotKept:
        in_turn = made.in_turn(manifest) if manifest.phases is None else None
        if in_turn is None:
            raise
        return map_weights(folder, in_turn, budget, target)


def _judged(source: Source, folder: Path, judging: Judging, tell: Callable[[str], None]) -> Mapping[str, VerifyReport]:
    whole = Bundle.load(folder).manifest
    manifest = of_model(whole, next(iter(models_of(whole)), None))
    reports = verify_steps(source, folder, manifest, emulate=judging.emulate, tell=tell)
    wrong = next((report.differences for report in reports.values() if report.differences), ())
    if wrong:
        raise VerifyError(f"the bundle differs from the model: {'; '.join(wrong)}", where=str(source), help=REPORT)
    for report in reports.values():
        check_met(report, judging.required, str(source))
    return reports


def _judged_together(made: Made, folder: Path, judging: Judging, tell: Callable[[str], None], clock: Clock) -> VerifyReport | str:
    """The models as links join them; "" where none do."""
    if not made.links:
        return ""
    if not judging.verify:
        return NOT_ASKED
    with clock.stage("verify links"):
        manifest = Bundle.load(folder).manifest
        report = verify_links(made.sources, folder, manifest, emulate=judging.emulate, tell=tell)
    if report.differences:
        what = f"the models together differ from their files run one after the other: {'; '.join(report.differences)}"
        raise VerifyError(what, where=", ".join(map(str, made.sources.values())), help=REPORT)
    check_met(report, judging.required, str(made.source))
    return report


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
