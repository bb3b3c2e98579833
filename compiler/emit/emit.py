"""Writes a bundle: segments with their weights beside them, and the manifest. Equal input gives equal bytes.

segments/NN-device.onnx   one model per segment
segments/weights.bin      all weights once
manifest.json             everything else
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..bundle.files import files_of, sha256_of
from ..bundle.manifest import (
    FORMAT,
    MANIFEST,
    TOOL,
    AttemptRecord,
    DecisionRecord,
    ErrorsRecord,
    FileRecord,
    GuessRecord,
    LimitRecord,
    Manifest,
    ModelRecord,
    TargetRecord,
    ToolRecord,
)
from ..bundle.manifest_json import claims_bundle, to_json
from ..bundle.plan_records import (
    ArenaRecord,
    HandoffRecord,
    HostValueRecord,
    PortRecord,
    RuntimeRecord,
    SegmentRecord,
    SlotRecord,
    StepRecord,
    ValueRecord,
)
from ..bundle.publish import check_place
from ..bundle.weights import WEIGHTS, WeightsFile, externalised
from ..plan.arena import ArenaPlan, Slot
from ..plan.segments import Compiled, Handoff, Segment
from .ahead_of_time import Blob, Refusal, compile_ahead

if TYPE_CHECKING:
    import onnx

SEGMENTS = "segments"
NO_ERRORS = ErrorsRecord(bounds=(), measured=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFacts:
    """What the manifest says that neither the segments nor the arena know."""

    model_sha256: str
    model_opset: int
    target: TargetRecord
    tool_version: str
    limits: tuple[LimitRecord, ...] = ()
    guesses: tuple[GuessRecord, ...] = ()
    errors: ErrorsRecord = NO_ERRORS
    decisions: tuple[DecisionRecord, ...] = ()
    search: tuple[AttemptRecord, ...] = ()


def _silent(message: str) -> None:
    pass


def check_output(out: Path) -> None:
    """Raises BundleError where no bundle could be written to `out`; call before compiling."""
    check_place(out.resolve(), claims_bundle)


def write_bundle(
    compiled: Compiled, facts: ManifestFacts, arena: ArenaPlan, folder: Path, tell: Callable[[str], None] = _silent
) -> Manifest | Refusal:
    """Writes the bundle into the empty `folder` and returns its manifest, or the segment that a runtime here does not compile.
    `tell` gets progress."""
    files = _write_segments(compiled, folder)
    blobs = compile_ahead(compiled, folder, {segment.index: segment_file(segment) for segment in compiled.segments}, tell)
    if isinstance(blobs, Refusal):
        return blobs
    for name in (name for blob in blobs.values() for name in files_of(folder, blob.file)):
        files[name] = FileRecord(sha256=sha256_of(folder / name), size=(folder / name).stat().st_size)
    manifest = _manifest(compiled, facts, arena, files, blobs)
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """manifest.json, again where what it says has changed: after the bundle was measured."""
    (folder / MANIFEST).write_text(to_json(manifest), encoding="utf-8", newline="\n")


def segment_file(segment: Segment) -> str:
    """Path of a segment's model in the bundle: segments/00-npu.onnx."""
    return f"{SEGMENTS}/{segment.index:02}-{re.sub(r'[^A-Za-z0-9_]', '_', segment.device)}.onnx"


def _write_segments(compiled: Compiled, folder: Path) -> dict[str, FileRecord]:
    files: dict[str, FileRecord] = {}
    (folder / SEGMENTS).mkdir()
    with (folder / SEGMENTS / WEIGHTS).open("wb") as stream:
        weights = WeightsFile(stream)
        for segment in compiled.segments:
            data = externalised(segment.model, weights).SerializeToString(deterministic=True)
            name = segment_file(segment)
            (folder / name).write_bytes(data)
            files[name] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    files[f"{SEGMENTS}/{WEIGHTS}"] = FileRecord(sha256=weights.sha256, size=weights.size)
    return files


def _manifest(
    compiled: Compiled, facts: ManifestFacts, arena: ArenaPlan, files: dict[str, FileRecord], blobs: Mapping[int, Blob]
) -> Manifest:
    return Manifest(
        model=ModelRecord(
            sha256=facts.model_sha256,
            opset=facts.model_opset,
            inputs=tuple(_value(compiled, arena, name) for name in compiled.graph_inputs),
            outputs=tuple(_value(compiled, arena, name) for name in compiled.graph_outputs),
        ),
        target=facts.target,
        tool=ToolRecord(name=TOOL, version=facts.tool_version, format=FORMAT),
        files=files,
        segments=tuple(_segment(compiled, arena, segment, blobs.get(segment.index)) for segment in compiled.segments),
        schedule=_schedule(arena),
        arena=_arena(compiled, arena),
        handoffs=tuple(_handoff(handoff) for handoff in compiled.handoffs),
        limits=facts.limits,
        guesses=facts.guesses,
        errors=facts.errors,
        decisions=facts.decisions,
        search=facts.search,
    )


def _value(compiled: Compiled, arena: ArenaPlan, name: str) -> ValueRecord:
    spec = compiled.tensors[name]
    return ValueRecord(name=name, dtype=spec.dtype, shape=spec.shape, slot=arena.slot_of(name, compiled.host))


def _segment(compiled: Compiled, arena: ArenaPlan, segment: Segment, blob: Blob | None) -> SegmentRecord:
    runtime = compiled.runtimes[segment.device]
    return SegmentRecord(
        index=segment.index,
        device=segment.device,
        runtime=RuntimeRecord(
            adapter=runtime.adapter,
            options=runtime.words,
            opset=_opset(segment.model),
            ir_version=segment.model.ir_version,
            versions={} if blob is None else blob.versions,
        ),
        file=segment_file(segment),
        blob=None if blob is None else blob.file,
        compute_dtype=segment.compute_dtype,
        inputs=tuple(PortRecord(tensor=t, slot=arena.slot_of(t, segment.device)) for t in segment.inputs),
        outputs=tuple(PortRecord(tensor=t, slot=arena.slot_of(t, segment.device)) for t in segment.outputs),
        predicted_seconds=float(segment.predicted_seconds),
        predicted_joules=None if segment.predicted_joules is None else float(segment.predicted_joules),
        peak_internal_bytes=segment.peak_internal_bytes,
        kernels=segment.kernels,
    )


def _opset(model: onnx.ModelProto) -> int:
    """The ai.onnx opset; a segment of custom operators alone may import none and then counts as 1."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def _schedule(arena: ArenaPlan) -> tuple[StepRecord, ...]:
    return tuple(
        StepRecord(kind=s.kind, segment=s.segment, source=s.source, destination=s.destination, needs=s.needs, waits=waits)
        for s, waits in zip(arena.steps, arena.waits, strict=True)
    )


def _arena(compiled: Compiled, arena: ArenaPlan) -> ArenaRecord:
    return ArenaRecord(
        total=arena.total,
        align=arena.align,
        page=arena.page,
        lower_bound=arena.lower_bound,
        slots=tuple(_slot(slot) for slot in arena.slots),
        host_values=tuple(_host_value(compiled, name) for name in arena.at.outside),
    )


def _slot(slot: Slot) -> SlotRecord:
    return SlotRecord(
        tensor=slot.tensor,
        device=slot.device,
        aliases=slot.aliases,
        dtype=slot.dtype,
        device_dtype=slot.device_dtype,
        shape=slot.shape,
        strides=slot.strides,
        packed_on_cpu=slot.packed_on_cpu,
        offset=slot.offset,
        bytes=slot.bytes,
        align=slot.align,
        lifetime=(slot.first, slot.last),
    )


def _host_value(compiled: Compiled, name: str) -> HostValueRecord:
    spec = compiled.tensors[name]
    reason = "its shape is known only at run time" if spec.shape is None else f"{spec.dtype} has no address a runtime could be given"
    return HostValueRecord(tensor=name, dtype=spec.dtype, reason=reason)


def _handoff(handoff: Handoff) -> HandoffRecord:
    return HandoffRecord(
        tensor=handoff.tensor,
        producer=handoff.producer,
        consumer=handoff.consumer,
        mode=handoff.mode,
        mechanism=handoff.via,
        align=handoff.align,
        row_align=handoff.row_align,
        length_multiple=handoff.length_multiple,
        device_dtype=handoff.device_dtype,
        bytes=handoff.bytes,
        seconds=float(handoff.seconds),
        fallback=handoff.fallback,
        query_at_runtime=handoff.query_at_runtime,
        origin=handoff.origin,
    )
