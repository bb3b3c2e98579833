"""What each segment of a bundle was judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..bundle.verification_record import Place, SegmentVerdict, not_judged
from ..devices.find_adapter import UNCOMPILED
from .terms import CHAINS

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest
    from ..bundle.plan_records import SegmentRecord
    from ..reference.rounding import Chains
    from .verifiable import Ran


def segment_verdicts(manifest: Manifest, session: Ran, compared: bool = True) -> tuple[SegmentVerdict, ...]:
    """One for each segment of a bundle. `compared`: whether the session ran at all."""
    if not compared:
        return not_judged((segment.device for segment in manifest.segments), "nothing was compared")
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


def chains(manifest: Manifest, session: Ran) -> Chains:
    """Which sums are added up one term after the other by what computed the segments: onnxruntime where a runtime is not here. A bundle
    whose segments differ is judged as the one that adds up most of them so."""
    ran = {CHAINS.get(one.runtime.adapter, "deviations") for one in manifest.segments if one.index not in session.absent}
    return "deviations" if "deviations" in ran else "sums" if "sums" in ran else ""


def elsewhere(segments: Sequence[SegmentVerdict]) -> tuple[str, ...]:
    """A sentence for each reason why segments were not judged on their own runtimes."""
    groups: dict[tuple[str, Place], list[str]] = {}
    for verdict in segments:
        if verdict.judged != "on its runtime":
            groups.setdefault((verdict.reason, verdict.judged), []).append(f"{verdict.index} ({verdict.device})")
    return tuple(_sentence(reason, judged, names) for (reason, judged), names in groups.items())


def by_other_kernels(segments: Sequence[SegmentVerdict], session: Ran) -> tuple[str, ...]:
    """A sentence for each device that was not run itself: other kernels computed what was compiled for it."""
    groups: dict[str, list[str]] = {}
    for verdict in segments:
        if (device := session.not_run.get(verdict.index)) is not None:
            groups.setdefault(device, []).append(f"{verdict.index} ({verdict.device})")
    return tuple(f"{_named(names)}: the {device} itself was not run" for device, names in groups.items())


def _named(names: Sequence[str]) -> str:
    return f"{'segments' if len(names) > 1 else 'segment'} {', '.join(names)}"


def _absence(segment: SegmentRecord, absent: Mapping[int, str]) -> str:
    if segment.index not in absent:
        return ""
    reason = absent[segment.index]
    if reason == UNCOMPILED:
        return f"runtime {segment.runtime.adapter}: {reason}"
    return reason if segment.runtime.adapter == "none" else f"runtime {segment.runtime.adapter} is not here: {reason}"


def _sentence(reason: str, judged: Place, names: Sequence[str]) -> str:
    several = len(names) > 1
    head = f"{_named(names)}: {reason}"
    if judged == "not judged":
        return head
    return f"{head}; {'they were judged on the CPU in their' if several else 'it was judged on the CPU in its'} place"
