"""The manifest of a planned model, before its files are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ...passes.place.segment import Segment
from ..bundle.confidence_record import ConfidenceRecord, UncostedRecord
from ..bundle.manifest import (
    FORMAT,
    SEGMENTS,
    TOOL,
    AttemptRecord,
    DecisionRecord,
    ErrorsRecord,
    GuessRecord,
    LimitRecord,
    Manifest,
    ModelRecord,
    TargetRecord,
    ToolRecord,
)
from ..bundle.plan_records import PortRecord, RuntimeRecord, SegmentRecord, ValueRecord
from ..bundle.precision_record import PrecisionRecord
from ..bundle.pruning_record import PruningRecord
from ..bundle.verification_record import not_compared
from ..devices.ort_settings import DEFAULT, OrtSettings
from ..plan.arena import ArenaPlan
from ..plan.segments import Compiled

NO_ERRORS = ErrorsRecord(bounds=(), measured=())
NO_METADATA: Mapping[str, str] = MappingProxyType({})
NO_SETTINGS: Mapping[int, OrtSettings] = MappingProxyType({})


def manifest_of(
    compiled: Compiled,
    plan: ArenaPlan,
    *,
    model_sha256: str,
    model_opset: int,
    target: TargetRecord,
    version: str,
    confidence: ConfidenceRecord | None = None,
    uncosted: tuple[UncostedRecord, ...] = (),
    limits: tuple[LimitRecord, ...] = (),
    guesses: tuple[GuessRecord, ...] = (),
    errors: ErrorsRecord = NO_ERRORS,
    decisions: tuple[DecisionRecord, ...] = (),
    search: tuple[AttemptRecord, ...] = (),
    settings: Mapping[int, OrtSettings] = NO_SETTINGS,
    model_defaults: tuple[str, ...] = (),
    model_metadata: Mapping[str, str] = NO_METADATA,
    precision: PrecisionRecord | None = None,
    pruning: PruningRecord | None = None,
) -> Manifest:
    """Everything but `files`, what was compiled ahead of time, and what a comparison with the model gave. `model_…`: of the file that was
    compiled; `version`: of autoglmc; `settings`: by segment index, what onnxruntime's CPU leaves out."""
    return Manifest(
        model=ModelRecord(
            sha256=model_sha256,
            opset=model_opset,
            inputs=tuple(_value(compiled, plan, name) for name in compiled.graph_inputs),
            outputs=tuple(_value(compiled, plan, name) for name in compiled.graph_outputs),
            defaults=model_defaults,
            metadata=dict(model_metadata),
        ),
        target=target,
        tool=ToolRecord(name=TOOL, version=version, format=FORMAT),
        files={},
        segments=tuple(_segment(compiled, plan, segment, settings.get(segment.index, DEFAULT)) for segment in compiled.segments),
        schedule=plan.steps,
        arena=plan.arena,
        handoffs=compiled.handoffs,
        confidence=confidence,
        uncosted=uncosted,
        limits=limits,
        guesses=guesses,
        errors=errors,
        precision=precision,
        pruning=pruning,
        verification=not_compared(segment.device for segment in compiled.segments),
        decisions=decisions,
        search=search,
    )


def _value(compiled: Compiled, plan: ArenaPlan, name: str) -> ValueRecord:
    tensor = compiled.tensors[name]
    shape = None if tensor.shape is None else tuple(dim or 0 for dim in tensor.shape)
    return ValueRecord(name=name, dtype=tensor.dtype, shape=shape, slot=plan.slot_of(name, compiled.host))


def _segment(compiled: Compiled, plan: ArenaPlan, segment: Segment, settings: OrtSettings) -> SegmentRecord:
    runtime, joules = compiled.runtimes[segment.device], compiled.joules(segment)
    return SegmentRecord(
        index=segment.index,
        device=segment.device,
        runtime=RuntimeRecord(
            adapter=runtime.adapter,
            options=runtime.words,
            opset=segment.opset,
            ir_version=segment.ir_version,
            versions={},
            optimisation=settings.optimisation,
            optimizers_off=settings.optimizers_off,
        ),
        file=f"{SEGMENTS}/{segment.index:02}-{re.sub(r'[^A-Za-z0-9_]', '_', segment.device)}.onnx",
        blob=None,
        compute_dtype=segment.compute_dtype,
        inputs=tuple(PortRecord(tensor=t, slot=plan.slot_of(t, segment.device)) for t in segment.inputs),
        outputs=tuple(PortRecord(tensor=t, slot=plan.slot_of(t, segment.device)) for t in segment.outputs),
        predicted_seconds=float(segment.seconds),
        predicted_joules=None if joules is None else float(joules),
        peak_internal_bytes=segment.internal_peak,
        kernels=segment.kernels,
        memories=compiled.memories.segments.get(segment.index),
    )
