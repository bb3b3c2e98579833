"""Many requests through one session: one after the other, or overlapped (see overlap.py)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from ..activity import Line
from ..errors import UsageError
from .more_generations import usual_generations
from .overlap import Overlap, StepFailed, Steps, Task, reason_of

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest
    from .generation import Generation
    from .outputs import Outputs, Spans

COPIES = "copies"
"""The lane of host copies between devices."""


class Runnable(Protocol):
    """What running many requests needs of a session."""

    @property
    def manifest(self) -> Manifest: ...
    @property
    def generations(self) -> Sequence[Generation]: ...
    @property
    def devices(self) -> Sequence[str]: ...
    def extend(self, count: int) -> None: ...
    def place(self, generation: Generation, inputs: Mapping[str, Any]) -> dict[str, Any]: ...
    def take(self, generation: Generation, named: dict[str, Any], marks: Sequence[float] | Spans) -> Outputs: ...
    def halt(self, stop: bool) -> None: ...
    def line(self) -> Line: ...
    def abandon(self) -> None: ...


def one_by_one(session: Runnable, generation: Generation, requests: Sequence[Mapping[str, Any]]) -> list[Outputs]:
    """On the asking thread. Raises StepFailed as `overlapped` does."""
    asked = _Requests(session, requests)
    return [_one(session, generation, asked, request, inputs) for request, inputs in enumerate(requests)]


def _one(session: Runnable, generation: Generation, asked: _Requests, request: int, inputs: Mapping[str, Any]) -> Outputs:
    named, marks = session.place(generation, inputs), [perf_counter()]
    for step in range(len(generation.calls)):
        try:
            asked.run(0, step, named)
        except Exception as error:
            raise asked.failed(step, request, reason_of(error)) from error
        marks.append(perf_counter())
    return session.take(generation, named, marks)


def lanes(manifest: Manifest) -> tuple[str, ...]:
    """Per step, who runs it: a device, or the host's copies."""
    return tuple(COPIES if step.segment is None else manifest.segments[step.segment].device for step in manifest.schedule)


def overlapped(
    session: Runnable, requests: Sequence[Mapping[str, Any]], generations: int | None, step_limit: float | None
) -> list[Outputs]:
    """Raises StepFailed naming the step, segment, device and request; no thread of it is left then but one that cannot be stopped."""
    manifest = session.manifest
    count = usual_generations(manifest) if generations is None else generations
    if count < 1 or (step_limit is not None and not step_limit > 0):
        raise UsageError(f"{count} generations, a step limit of {step_limit} s: both must be more than 0")
    session.extend(min(count, max(len(requests), 1)))
    count = min(count, len(session.generations))
    steps = Steps(tuple(Task(lane, (*s.needs, *s.waits)) for lane, s in zip(lanes(manifest), manifest.schedule, strict=True)))
    run = Overlap(steps, _Requests(session, requests), count, step_limit)
    return run.finish(len(requests))


class _Requests:
    """What Overlap asks of a session."""

    def __init__(self, session: Runnable, requests: Sequence[Mapping[str, Any]]) -> None:
        self._session, self._requests = session, requests
        self._thread = threading.local()

    def place(self, generation: int, request: int) -> dict[str, Any]:
        return self._session.place(self._session.generations[generation], self._requests[request])

    def run(self, generation: int, step: int, named: dict[str, Any]) -> None:
        line = getattr(self._thread, "line", None)
        if line is None:
            line = self._thread.line = self._session.line()
        line.numbers[line.at] = line.next() + step
        try:
            self._session.generations[generation].calls[step](named)
        finally:
            line.numbers[line.at] = 0

    def take(self, generation: int, named: dict[str, Any], spans: tuple[tuple[float, float], ...]) -> Outputs:
        return self._session.take(self._session.generations[generation], named, spans)

    def halt(self, stop: bool) -> None:
        self._session.halt(stop)

    def abandoned(self) -> None:
        self._session.abandon()

    def failed(self, step: int, request: int, why: str) -> StepFailed:
        manifest = self._session.manifest
        record = manifest.schedule[step]
        if record.segment is not None:
            segment = manifest.segments[record.segment]
            what = f"segment {segment.index} on {segment.device} ({self._session.devices[segment.index]})"
            return StepFailed(why, step=step, request=request, what=what, segment=segment.index, device=segment.device)
        assert record.source is not None and record.destination is not None
        source, destination = manifest.arena.slots[record.source], manifest.arena.slots[record.destination]
        what = f"{record.kind} of {source.tensor} from {source.device} to {destination.device}"
        return StepFailed(why, step=step, request=request, what=what, segment=None, device=destination.device)
