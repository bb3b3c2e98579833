"""Records of measurements beside the predicted schedule: what `bench --record` and `run --record` wrote of the same bundle."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...bench.record import FORMAT as BENCH_FORMAT
from ...bench.record import BenchRecord
from ...bench.run_record import FORMAT as RUN_FORMAT
from ...bench.run_record import RunRecord, SpanRecord
from ...bundle.manifest import Manifest
from ...errors import UsageError
from ...run.bundle import Bundle
from ...run.run_many import lanes
from ...run.timeline import step_name

Measured = BenchRecord | RunRecord
FORMATS: Mapping[type[Measured], int] = {BenchRecord: BENCH_FORMAT, RunRecord: RUN_FORMAT}
HELP = "give files that `autoglmc bench --record` or `autoglmc run --record` wrote of this bundle"
MOST = 4000
"""Steps of requests on a page; what is left out is counted."""


def read_measured(path: Path, bundle: Bundle) -> Measured:
    """Raises UsageError for a file that is no record, or one of another bundle."""
    try:
        text = path.read_bytes()
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror or problem}", help=HELP) from None
    found = _decoded(path, text)
    if found.bundle != bundle.digest:
        message = f"{path} was measured on another bundle: its manifest has sha256 {found.bundle[:16]}…, this one's {bundle.digest[:16]}…"
        raise UsageError(message, help="measure this one; a bundle that was compiled again is another where its manifest differs")
    if isinstance(found, RunRecord) and not _is_of(found, len(bundle.manifest.schedule)):
        raise UsageError(f"{path}: it has no request, or a step that the bundle has not", help=HELP)
    return found


def _is_of(record: RunRecord, steps: int) -> bool:
    return bool(record.spans) and all(span.step < steps for span in (*record.spans, *(record.pipelined or ())))


def _decoded(path: Path, text: bytes) -> Measured:
    problems = []
    for kind, number in FORMATS.items():
        try:
            found = msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            problems.append(str(problem))
            continue
        if found.format != number:
            raise UsageError(f"{path}: a record of format {found.format}; this version reads {number}", help=HELP)
        return found
    raise UsageError(f"{path} is no record of a measurement: {problems[0]}", help=HELP)


def measured(name: str, record: Measured, manifest: Manifest) -> dict[str, Any]:
    """The data of the page. name: of the file.

    - file, kind: "bench" or "run"; record: as it is, a run's without its spans.
    - seconds: median of a run, from the record (bench) or over its requests but the first (run); segments: the same by index of a segment.
    - requests: how many a run had; of bench, how many runs were timed.
    - lines: {"title", "lanes", "spans", "seconds", "left_out"}; spans as in predicted.py, with "request" where there are several.
    """
    head = {"file": name, "kind": "bench" if isinstance(record, BenchRecord) else "run"}
    if isinstance(record, BenchRecord):
        segments = {str(one.segment): one.seconds.p50 for one in record.segments}
        found = {"record": _plain(record), "seconds": record.seconds.p50, "segments": segments, "requests": record.repeat}
        return {**head, **found, "lines": [_of_medians(record, manifest)]}
    requests = _requests(record.spans)
    warm = requests[1:] or requests
    lines = [_median_request(requests, manifest)]
    if record.pipelined:
        lines.append(_line("Pipelined requests", record.pipelined, manifest))
    facts = _plain(msgspec.structs.replace(record, spans=(), pipelined=None))
    found = {"record": facts, "seconds": statistics.median(map(_lasts, warm)), "segments": _by_segment(warm, manifest)}
    return {**head, **found, "requests": len(requests), "lines": lines}


def _plain(record: Measured) -> Any:
    return msgspec.json.decode(msgspec.json.encode(record))


def _of_medians(record: BenchRecord, manifest: Manifest) -> dict[str, Any]:
    """The median of every segment, one after the other in the order of the schedule, and what all copies of a run take together."""
    seconds = {one.segment: one.seconds.p50 for one in record.segments}
    spans, clock = [], 0.0
    for number, step in enumerate(manifest.schedule):
        if step.segment in seconds and step.segment is not None:
            lasts = seconds[step.segment]
            what = {
                "lane": manifest.segments[step.segment].device,
                "kind": "run",
                "what": f"segment {step.segment}",
                "segment": step.segment,
            }
            spans.append({**what, "step": number, "begin": clock, "end": clock + lasts})
            clock += lasts
    if record.handoffs:
        spans.append({"lane": "copies", "kind": "copy", "what": "all copies of a run", "begin": clock, "end": clock + record.handoffs})
        clock += record.handoffs
    order = list(dict.fromkeys(span["lane"] for span in spans))
    return {"title": "Medians of the segments", "lanes": order, "spans": spans, "seconds": clock, "left_out": 0}


def _requests(spans: Sequence[SpanRecord]) -> list[list[SpanRecord]]:
    found: dict[int, list[SpanRecord]] = {}
    for span in spans:
        found.setdefault(span.request, []).append(span)
    return [found[number] for number in sorted(found)]


def _lasts(spans: Sequence[SpanRecord]) -> float:
    return max(span.end for span in spans) - min(span.begin for span in spans)


def _median_request(requests: Sequence[Sequence[SpanRecord]], manifest: Manifest) -> dict[str, Any]:
    """Of those but the first, which warms up, the one that took as long as the median."""
    warm = sorted(requests[1:] or requests, key=_lasts)
    chosen = warm[(len(warm) - 1) // 2]
    return _line(f"Request {chosen[0].request} of {len(requests)}, the median", chosen, manifest)


def _line(title: str, spans: Sequence[SpanRecord], manifest: Manifest) -> dict[str, Any]:
    names, start = lanes(manifest), min(span.begin for span in spans)
    shown = [{**_step(span, names, manifest), "begin": span.begin - start, "end": span.end - start} for span in spans[:MOST]]
    seconds, left_out = _lasts(spans), max(len(spans) - MOST, 0)
    return {"title": title, "lanes": list(dict.fromkeys(names)), "spans": shown, "seconds": seconds, "left_out": left_out}


def _step(span: SpanRecord, names: Sequence[str], manifest: Manifest) -> dict[str, Any]:
    step = manifest.schedule[span.step]
    what = step_name(manifest, span.step) if step.segment is None else f"segment {step.segment}"
    return {"lane": names[span.step], "kind": step.kind, "what": what, "segment": step.segment, "step": span.step, "request": span.request}


def _by_segment(requests: Sequence[Sequence[SpanRecord]], manifest: Manifest) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for segment, seconds in _segment_times(requests, manifest):
        found.setdefault(str(segment), []).append(seconds)
    return {name: statistics.median(times) for name, times in found.items()}


def _segment_times(requests: Sequence[Sequence[SpanRecord]], manifest: Manifest) -> Iterator[tuple[int, float]]:
    for spans in requests:
        for span in spans:
            segment = manifest.schedule[span.step].segment
            if segment is not None:
                yield segment, span.end - span.begin
