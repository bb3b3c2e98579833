"""What `autoglmc run` reports: outputs, times of every step, memory, what was copied and emulated."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from ..bundle.confidence_record import ConfidenceRecord
from ..bundle.manifest import Manifest
from ..bundle.plan_records import SegmentRecord
from ..bundle.verification_record import VerificationRecord
from ..devices.views import packed_bytes
from ..verify.verdicts import elsewhere
from .timeline import Timeline, timeline

if TYPE_CHECKING:
    from .outputs import Outputs
    from .session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipelined:
    """Overlapped requests beside the same requests one after the other."""

    requests: int
    seconds: float
    sequential_seconds: float
    generations: int
    arena_bytes: int
    """Of all generations."""
    fit: int | None
    """Generations that the target's limits leave room for; None where the bundle does not say."""
    loaded_again: tuple[str, ...]
    """Segments whose weights are resident once per generation."""
    timeline: Timeline

    @property
    def speedup(self) -> float:
        return self.sequential_seconds / self.seconds if self.seconds else 1.0

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "seconds": self.seconds,
            "sequential_seconds": self.sequential_seconds,
            "speedup": self.speedup,
            "generations": self.generations,
            "arena_bytes": self.arena_bytes,
            "generations_that_fit": self.fit,
            "loaded_again": list(self.loaded_again),
            "busy_seconds": self.timeline.busy(),
            "devices_at_once": self.timeline.at_once,
        }


MOST_DRAWN = 10_000
"""Runs that a timeline shows; more cannot be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """One step of the schedule over all runs."""

    what: str
    """run 0, copy enc.out, convert enc.out."""
    device: str
    """Where it runs; "npu -> cpu" for a copy."""
    runtime: str
    """What ran it here: "ort for htp" for a stand-in, "host" for a copy."""
    hardware: str
    """What really computed, in the runtime's own words: "Hexagon HTP v75 (emulator)"; "CPU" for a copy."""
    bound: int
    """Bytes of inputs and outputs read and written where they lie."""
    copied: int
    """Bytes copied by the host, before, after or instead of a run; what a runtime copies inside itself cannot be seen."""
    best: float
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentMemory:
    """What loading a segment added to this process, see resident.py."""

    segment: str
    """0 (npu)."""
    runtime: str
    own: int
    mapped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What `autoglmc run` reports: the outputs of the last run and the times of all."""

    outputs: Outputs
    seconds: tuple[float, ...]
    """Per run, from inputs in hand to outputs in hand; the first one warms up."""
    steps: tuple[StepTimes, ...]
    copied: tuple[str, ...]
    emulated: tuple[str, ...]
    zero_copy: int
    """Handoffs whose two sides were bound to one address (asserted)."""
    resident: tuple[SegmentMemory, ...]
    """Empty where the system does not tell."""
    every: tuple[Outputs, ...]
    """The outputs of all requests, in order; of repeated runs of one request, the last."""
    timeline: Timeline
    verification: VerificationRecord
    """What came of comparing the bundle with its model when it was made."""
    pipelined: Pipelined | None = None
    notes: tuple[str, ...] = ()
    """What whoever runs it should know."""
    digest: str = ""
    """sha256 of the bundle's manifest."""
    signed: bool = False
    """Whether the bundle has a signature, checked or not."""
    trusted: str = ""
    """The key that it was checked with; "" where it was not."""
    confidence: ConfidenceRecord | None = None
    """The latency that was predicted when it was made, and how far it may be off; None where no device in use is calibrated."""

    @property
    def repeat(self) -> int:
        return len(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def as_json(self) -> dict[str, Any]:
        """Times and what was emulated; the outputs as name -> dtype and shape only."""
        described = {name: {"dtype": str(v.dtype), "shape": list(v.shape)} for name, v in self.outputs.items() if hasattr(v, "dtype")}
        return {
            "verified": self.verification.verified,
            "reasons": list(self.verification.reasons),
            "elsewhere": list(elsewhere(self.verification.segments)),
            "digest": self.digest,
            "signed": self.signed,
            "trusted": self.trusted or None,
            "notes": list(self.notes),
            "outputs": described,
            "seconds": list(self.seconds),
            "confidence": to_builtins(self.confidence),
            "steps": [asdict(step) for step in self.steps],
            "emulated": list(self.emulated),
            "copied": list(self.copied),
            "zero_copy": self.zero_copy,
            "resident": [asdict(memory) for memory in self.resident],
            "busy_seconds": self.timeline.busy(),
            "pipelined": None if self.pipelined is None else self.pipelined.as_json(),
        }


def run_result(session: Session, runs: Sequence[Outputs], seconds: Sequence[float], pipelined: Pipelined | None = None) -> RunResult:
    """The report of these runs, one after the other. `seconds`: per run."""
    manifest, each = session.manifest, [outputs.step_seconds for outputs in runs]
    return RunResult(
        outputs=runs[-1],
        seconds=tuple(seconds),
        steps=tuple(_step(manifest, i, times, session) for i, times in enumerate(zip(*each, strict=True))),
        copied=session.copied,
        emulated=session.emulated,
        zero_copy=session.zero_copy,
        resident=tuple(_memory(session)),
        every=tuple(outputs for outputs in runs if outputs) or (runs[-1],),
        timeline=timeline(manifest, runs[:MOST_DRAWN]),
        verification=manifest.verification,
        pipelined=pipelined,
        notes=session.notes,
        confidence=manifest.confidence,
    )


def _memory(session: Session) -> Iterator[SegmentMemory]:
    for record, added in zip(session.manifest.segments, session.resident, strict=True):
        if added is not None:
            segment = f"{record.index} ({record.device})"
            yield SegmentMemory(segment=segment, runtime=runtime_of(record, session.emulated), own=added.own, mapped=added.mapped)


def runtime_of(segment: SegmentRecord, emulated: Sequence[str]) -> str:
    """What runs it here: "ort", or "ort for qnn" for a stand-in."""
    adapter = segment.runtime.adapter
    return f"ort for {adapter}" if f"{segment.index} ({segment.device})" in emulated else adapter


def _step(manifest: Manifest, index: int, times: Sequence[float], session: Session) -> StepTimes:
    step = manifest.schedule[index]
    if step.segment is not None:
        segment = manifest.segments[step.segment]
        runtime = runtime_of(segment, session.emulated)
        what, device, hardware = f"run {segment.index}", segment.device, session.devices[segment.index]
        bound, copied = _traffic(manifest, segment, session.copied)
    else:
        assert step.source is not None and step.destination is not None
        source, destination = manifest.arena.slots[step.source], manifest.arena.slots[step.destination]
        what, device = f"{step.kind} {source.tensor}", f"{source.device} -> {destination.device}"
        runtime, hardware, bound, copied = "host", "CPU", 0, packed_bytes(source)
    return StepTimes(
        what=what,
        device=device,
        runtime=runtime,
        hardware=hardware,
        bound=bound,
        copied=copied,
        best=min(times),
        median=statistics.median(times),
    )


def _traffic(manifest: Manifest, segment: SegmentRecord, copied: Sequence[str]) -> tuple[int, int]:
    """Bytes that a segment reads and writes in place, and those copied for it. copied: those of which all are."""
    slots = manifest.arena.slots
    total = sum(packed_bytes(slots[port.slot]) for port in (*segment.inputs, *segment.outputs) if port.slot is not None)
    return (0, total) if f"{segment.index} ({segment.device})" in copied else (total, 0)
