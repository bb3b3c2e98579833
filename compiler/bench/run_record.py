"""When each step of each request ran: what `autoglmc run --record` writes, and the page of `report` draws."""

from __future__ import annotations

from collections.abc import Mapping

from ..bundle.record import Count, Record, Seconds
from ..run.bundle import Bundle
from ..run.result import RunResult
from ..run.timeline import Timeline
from .environment import environment

FORMAT = 1


class SpanRecord(Record, frozen=True, kw_only=True, array_like=True):
    """A step of a request; in the file an array of its fields, since there are thousands."""

    request: Count
    step: Count
    """Of the manifest's schedule."""
    begin: Seconds
    """From the start of the first one."""
    end: Seconds


class RunRecord(Record, frozen=True, kw_only=True):
    """Requests that were run, step by step."""

    format: int
    bundle: str
    """sha256 of the manifest."""
    target: str
    environment: Mapping[str, str]
    """processor, system, python, runtimes with their versions, date."""
    emulated: tuple[str, ...]
    """Segments that the CPU computed in the place of their own runtime: times are then not those of the target."""
    spans: tuple[SpanRecord, ...]
    """One request after the other, by begin; the first request warms up."""
    pipelined: tuple[SpanRecord, ...] | None
    """The same requests overlapped across devices; null where that was not asked for."""


def record_of(bundle: Bundle, result: RunResult) -> RunRecord:
    """bundle: the one that was run."""
    return RunRecord(
        format=FORMAT,
        bundle=bundle.digest,
        target=bundle.manifest.target.name,
        environment=environment(bundle, result.emulated),
        emulated=result.emulated,
        spans=_spans(result.timeline),
        pipelined=None if result.pipelined is None else _spans(result.pipelined.timeline),
    )


def _spans(line: Timeline) -> tuple[SpanRecord, ...]:
    return tuple(SpanRecord(request=one.request, step=one.step, begin=one.begin, end=one.end) for one in line.spans)
