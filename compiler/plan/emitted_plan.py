"""A plan as it is emitted: segments in their runtimes' spelling, without views, their tensors in memories; and the time that this takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..bundle.confidence_record import ConfidenceRecord
from ..devices.adapter import CompilerReport
from ..pipeline.work import Work
from .arena import ArenaPlan
from .compilers.times import held_by, reported, timed_by
from .confidence import confidence_of
from .handoffs import assemble
from .limits import arena_room
from .plan_memories import with_memories
from .segment_times import SegmentTime, segment_times, with_times
from .segments import Compiled
from .views import plan_with_views


@dataclass(frozen=True, slots=True, kw_only=True)
class EmittedPlan:
    compiled: Compiled
    arena: ArenaPlan
    times: tuple[SegmentTime, ...]
    """Of every segment, kernel by kernel, its tensors in the device's own memory."""
    latency: float
    """Predicted seconds of one run, handoffs included."""
    confidence: ConfidenceRecord | None
    """Of the latency; None where no device in use is calibrated."""
    reports: tuple[CompilerReport | None, ...] = ()
    """Of every segment; None where its runtime's compiler makes none, or is not here."""


def emitted_plan(work: Work, compares: bool = False) -> EmittedPlan:
    """Of a work after its last pass. compares: whether it is only held against other plans (`reported`)."""
    assert work.placement is not None
    target, handoff = work.target, work.placement.solution.price.handoff
    compiled = replace(assemble(work.graph, target, work.segments), kept=work.kept)
    compiled, arena = plan_with_views(compiled, target, arena_room(compiled, target), work.effort)
    compiled, reports = reported(compiled, target, arena.arena.mapped, compares)
    times = tuple(map(timed_by, reports, segment_times(compiled.segments, target)))
    compiled = with_times(replace(compiled, segments=tuple(map(held_by, reports, compiled.segments))), times)
    compiled = with_memories(compiled, target, arena.arena.mapped, work.effort)
    latency = handoff + sum(segment.seconds for segment in compiled.segments)
    confidence = confidence_of(target, times, handoff, latency)
    return EmittedPlan(compiled=compiled, arena=arena, times=times, latency=latency, confidence=confidence, reports=reports)
