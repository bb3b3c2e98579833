"""Records of the manifest that say what the bundle was held against its model on. Verification makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from .record import Count, Record, Share

Place = Literal["on its runtime", "on the CPU in its place", "not judged"]
"""Where a segment ran when the bundle was held against its model."""


class SegmentVerdict(Record, frozen=True, kw_only=True):
    """Where a segment ran when the bundle was held against its model."""

    index: Count
    """Of the segment."""
    device: str
    """The device of the target that it is planned for."""
    runtime: str
    """What it ran on, in words: "ort on CPU"; "" where it was not judged."""
    judged: Place
    """On its own runtime, on the CPU in its place, or not at all."""
    reason: str
    """Why not on its runtime; "" if it was."""


class StageVerdict(Record, frozen=True, kw_only=True):
    """How a stage of the compilation compares with the reference: the simplified graph, the rewritten one."""

    stage: str
    """simplified, rewritten …"""
    verified: bool
    """Whether it computes the model."""
    reason: str
    """Why not; where verified, what that rests on."""


class VerificationRecord(Record, frozen=True, kw_only=True):
    """What came of comparing the bundle with the untouched model when it was made."""

    verified: bool
    """Whether it computes the model, every segment judged on its own runtime (or on the CPU, where that was asked for)."""
    reasons: tuple[str, ...]
    """Why it is not verified; empty where it is."""
    inputs: tuple[str, ...]
    """The input sets compared."""
    segments: tuple[SegmentVerdict, ...]
    """One for each segment, in their order."""
    stages: tuple[StageVerdict, ...]
    """Stages before the bundle, where they were compared."""
    exercised: Share
    """Share of the outputs that responded to an input, of those that an input can reach."""
    not_exercised: tuple[str, ...]
    """What no input set reached."""
    runtime_faults: tuple[str, ...]
    """Where onnxruntime itself computes the untouched model wrong."""
    unchecked: tuple[str, ...]
    """Operators whose reference value rests on a single implementation."""


NOT_ASKED = "it was not compared with the model: that was not asked for"


def not_judged(devices: Iterable[str], reason: str) -> tuple[SegmentVerdict, ...]:
    """One for each segment of a bundle that nothing was compared with; `devices`: theirs, in order."""
    return tuple(
        SegmentVerdict(index=index, device=device, runtime="", judged="not judged", reason=reason) for index, device in enumerate(devices)
    )


def not_compared(devices: Iterable[str], reason: str = NOT_ASKED) -> VerificationRecord:
    """Of a bundle that was not held against its model."""
    return VerificationRecord(
        verified=False,
        reasons=(reason,),
        inputs=(),
        segments=not_judged(devices, reason),
        stages=(),
        exercised=0.0,
        not_exercised=(),
        runtime_faults=(),
        unchecked=(),
    )
