"""Load a bundle and run it.

>>> bundle = Bundle.load("model.a16")
>>> outputs = bundle.run({"x": x}, emulate=True)
>>> outputs.emulated        # segments that ran on the CPU because their device is not here
('0 (npu)', '2 (npu)')
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.manifest import Manifest, read_manifest
from ..devices.views import packed_bytes
from ..errors import BundleError
from .check_bundle import check_files, check_plan, check_weights

if TYPE_CHECKING:
    from .requests import Pipelined
    from .session import Outputs, Session
    from .timeline import Timeline


MOST_DRAWN = 10_000
"""Runs that a timeline shows; more are no picture."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A compiled model on disk, checked when it was loaded."""

    folder: Path
    manifest: Manifest

    def __repr__(self) -> str:
        """Short: a manifest is thousands of lines."""
        devices = ", ".join(dict.fromkeys(segment.device for segment in self.manifest.segments))
        number = len(self.manifest.segments)
        what = f"{self.manifest.target.name}, {number} segment{'' if number == 1 else 's'} on {devices}"
        return f"<Bundle {str(self.folder)!r}: {what}>"

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Bundle:
        """The bundle in the folder `path`. Raises BundleError naming the first field or file that does not fit."""
        folder = Path(path)
        try:
            manifest = read_manifest(folder)
            check_files(folder, manifest)
            check_weights(folder, manifest)
            check_plan(manifest, str(folder))
        except BundleError as problem:
            problem.help = problem.help or "the bundle is damaged or incomplete: copy it again, or compile the model again"
            raise
        return Bundle(folder, manifest)

    def session(
        self,
        *,
        emulate: bool = False,
        poison: bool = False,
        recompile: bool = False,
        shared: bool = False,
        arena_fd: int | None = None,
    ) -> Session:
        """Segments loaded and bound to one arena, for many runs.

        emulate: run segments of devices that are not here on the CPU; without it they are an error (UserError).
        poison: fill the arena with NaN before every run, so that a tensor nobody wrote shows.
        recompile: compile segments for this machine instead of loading what was compiled ahead of time.
        shared: put the arena behind a file descriptor (`session.arena_fd`) that other processes may map.
        arena_fd: use the arena of another process's session of this bundle.
        """
        from .session import Session

        return Session(self.folder, self.manifest, emulate=emulate, poison=poison, recompile=recompile, shared=shared, arena_fd=arena_fd)

    def run(self, inputs: Mapping[str, Any], *, emulate: bool = False) -> Outputs:
        """Graph outputs by name for one set of inputs; `outputs.emulated` names the segments that ran on a stand-in.

        Raises UserError for inputs the model does not have, or of another dtype or shape.
        """
        return self.session(emulate=emulate).run(inputs)


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
    pipelined: Pipelined | None = None

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
            "outputs": described,
            "seconds": list(self.seconds),
            "steps": [asdict(step) for step in self.steps],
            "emulated": list(self.emulated),
            "copied": list(self.copied),
            "zero_copy": self.zero_copy,
            "resident": [asdict(memory) for memory in self.resident],
            "busy_seconds": self.timeline.busy(),
            "pipelined": None if self.pipelined is None else self.pipelined.as_json(),
        }


def run_bundle(
    path: str | os.PathLike[str], inputs: Mapping[str, Any], *, repeat: int = 1, emulate: bool = False, recompile: bool = False
) -> RunResult:
    """Loads a bundle once and runs it `repeat` times. Raises as `Bundle.load` and `Bundle.run` do."""
    bundle = Bundle.load(path)
    session = bundle.session(emulate=emulate, recompile=recompile)
    seconds: list[float] = []
    runs: list[Outputs] = []
    for _ in range(max(repeat, 1)):
        start = time.perf_counter()
        outputs = session.run(inputs)
        seconds.append(time.perf_counter() - start)
        if runs:
            runs[-1].clear()  # times are kept of every run, values of the last
        runs.append(outputs)
    return run_result(session, runs, seconds)


def run_result(session: Session, runs: Sequence[Outputs], seconds: Sequence[float], pipelined: Pipelined | None = None) -> RunResult:
    """What is told of these runs, one after the other."""
    from .timeline import timeline

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
        pipelined=pipelined,
    )


def _memory(session: Session) -> Iterator[SegmentMemory]:
    for record, added in zip(session.manifest.segments, session.resident, strict=True):
        if added is not None:
            segment = f"{record.index} ({record.device})"
            runtime = f"ort for {record.runtime.adapter}" if segment in session.emulated else record.runtime.adapter
            yield SegmentMemory(segment=segment, runtime=runtime, own=added.own, mapped=added.mapped)


def _step(manifest: Manifest, index: int, times: Sequence[float], session: Session) -> StepTimes:
    step = manifest.schedule[index]
    if step.segment is not None:
        segment = manifest.segments[step.segment]
        adapter = segment.runtime.adapter
        runtime = f"ort for {adapter}" if f"{segment.index} ({segment.device})" in session.emulated else adapter
        what, device, hardware = f"run {segment.index}", segment.device, session.devices[segment.index]
        bound, copied = session.traffic(segment.index)
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
