"""Segments whose runtime's compiler estimates what they take: its cycles and its memory stand for ours.

The placement chooses by the target's rates, which know operators one by one; what is predicted of the plan, and what its limits are held
against, is the compiler's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...passes.place.segment import Segment
from ...targets.model import Target
from ..bundle.blobs.compiler_reports import compiler_report
from ..devices.adapter import CompilerReport, Reporting
from ..devices.find_adapter import adapter_for
from .segment_times import SegmentTime


def reports_of(segments: Sequence[Segment], target: Target) -> tuple[CompilerReport | None, ...]:
    """Of each segment; None where its runtime's compiler makes none, or is not here."""
    return tuple(_report(segment, target) for segment in segments)


def _report(segment: Segment, target: Target) -> CompilerReport | None:
    runtime = target.device(segment.device).runtime
    adapter = adapter_for(runtime.adapter, runtime.words)
    if adapter is None or not isinstance(adapter, Reporting):
        return None
    return compiler_report(adapter, runtime.words, segment.model)


def timed_by(report: CompilerReport | None, time: SegmentTime) -> SegmentTime:
    return time if report is None else replace(time, compiled=report.seconds)


def held_by(report: CompilerReport | None, segment: Segment) -> Segment:
    """The compiler counts inputs and outputs, which lie in the arena."""
    if report is None:
        return segment
    border = sum(segment.graph.tensor(name).bytes or 0 for name in {*segment.inputs, *segment.outputs})
    return replace(segment, internal_peak=max(report.peak_bytes - border, 0))
