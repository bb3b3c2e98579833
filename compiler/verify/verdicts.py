"""What each segment of a bundle and each stage of a compilation was judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest
    from ..bundle.plan_records import SegmentRecord
    from .verifiable import Runnable

Place = Literal["on its runtime", "on the CPU in its place", "not judged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentVerdict:
    """Where a segment ran when the bundle was held against its model."""

    index: int
    """Of the segment in the manifest."""
    device: str
    """The device of the target that it is planned for."""
    runtime: str
    """What it ran on, in words: "ort on CPU"; "" where it was not judged."""
    judged: Place
    """On its own runtime, on the CPU in its place, or not at all."""
    reason: str
    """Why not on its runtime; "" if it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVerdict:
    """How a stage of the compilation compares with the reference: the simplified graph, the rewritten one."""

    stage: str
    """simplified, rewritten …"""
    verified: bool
    """Whether it computes the model."""
    reason: str
    """Why not; where verified, what that rests on."""


def segment_verdicts(manifest: Manifest, session: Runnable) -> tuple[SegmentVerdict, ...]:
    """One for each segment of a bundle whose session ran."""
    return tuple(
        SegmentVerdict(
            index=segment.index,
            device=segment.device,
            runtime=f"ort on {ran}" if segment.index in session.absent else f"{segment.runtime.adapter} on {ran}",
            judged="on the CPU in its place" if segment.index in session.absent else "on its runtime",
            reason=_absence(segment, session.absent),
        )
        for segment, ran in zip(manifest.segments, session.devices, strict=True)
    )


def not_judged(manifest: Manifest, reason: str) -> tuple[SegmentVerdict, ...]:
    """One for each segment of a bundle that nothing was compared with."""
    return tuple(
        SegmentVerdict(index=segment.index, device=segment.device, runtime="", judged="not judged", reason=reason)
        for segment in manifest.segments
    )


def elsewhere(segments: Sequence[SegmentVerdict]) -> tuple[str, ...]:
    """A sentence for each reason why segments were not judged on their own runtimes."""
    groups: dict[tuple[str, Place], list[str]] = {}
    for verdict in segments:
        if verdict.judged != "on its runtime":
            groups.setdefault((verdict.reason, verdict.judged), []).append(f"{verdict.index} ({verdict.device})")
    return tuple(_sentence(reason, judged, names) for (reason, judged), names in groups.items())


def _absence(segment: SegmentRecord, absent: Mapping[int, str]) -> str:
    if segment.index not in absent:
        return ""
    reason = absent[segment.index]
    return reason if segment.runtime.adapter == "none" else f"runtime {segment.runtime.adapter} is not here: {reason}"


def _sentence(reason: str, judged: Place, names: Sequence[str]) -> str:
    several = len(names) > 1
    head = f"segment{'s' if several else ''} {', '.join(names)}: {reason}"
    if judged == "not judged":
        return head
    return f"{head}; {'they were judged on the CPU in their' if several else 'it was judged on the CPU in its'} place"
