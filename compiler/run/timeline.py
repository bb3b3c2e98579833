"""When each step of each request ran, on which device: what is busy, what waits, what overlaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .run_many import lanes

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest
    from .outputs import Outputs


@dataclass(frozen=True, slots=True)
class StepSpan:
    """One step of one request, in seconds from the timeline's start."""

    request: int
    step: int
    lane: str
    """The device, or "copies" for what the host moves."""
    what: str
    """run 0, copy enc.out."""
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of some requests on a common clock, in seconds."""

    lanes: tuple[str, ...]
    spans: tuple[StepSpan, ...]
    """By begin."""

    @property
    def wall(self) -> float:
        """Seconds from the first step's begin to the last one's end."""
        return max((span.end for span in self.spans), default=0.0)

    def busy(self) -> dict[str, float]:
        """Seconds that each lane ran steps."""
        found = dict.fromkeys(self.lanes, 0.0)
        for span in self.spans:
            found[span.lane] += span.end - span.begin
        return found

    @property
    def at_once(self) -> float:
        """How many lanes were busy on average."""
        return sum(self.busy().values()) / self.wall if self.wall else 0.0


def timeline(manifest: Manifest, outputs: Sequence[Outputs]) -> Timeline:
    """Of the requests with these outputs, in order."""
    steps, names = lanes(manifest), [step_name(manifest, k) for k in range(len(manifest.schedule))]
    start = min((begin for out in outputs for begin, _ in out.spans), default=0.0)
    spans = [
        StepSpan(request, k, steps[k], names[k], begin - start, end - start)
        for request, out in enumerate(outputs)
        for k, (begin, end) in enumerate(out.spans)
    ]
    return Timeline(tuple(dict.fromkeys(steps)), tuple(sorted(spans, key=lambda s: (s.begin, s.request, s.step))))


def step_name(manifest: Manifest, index: int) -> str:
    """`run 0`, `copy enc.out`."""
    step = manifest.schedule[index]
    if step.segment is not None:
        return f"run {step.segment}"
    assert step.source is not None
    return f"{step.kind} {manifest.arena.slots[step.source].tensor}"


def chrome_trace(timelines: Mapping[str, Timeline]) -> dict[str, Any]:
    """Trace Event Format, for chrome://tracing and ui.perfetto.dev: a process per timeline, a thread per lane, microseconds."""
    events: list[dict[str, Any]] = []
    for process, (title, line) in enumerate(timelines.items()):
        events.append({"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": title}})
        for thread, lane in enumerate(line.lanes):
            events.append({"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": lane}})
        for span in line.spans:
            events.append(
                {
                    "ph": "X",
                    "name": f"{span.what} #{span.request}",
                    "cat": span.lane,
                    "pid": process,
                    "tid": line.lanes.index(span.lane),
                    "ts": round(span.begin * 1e6, 3),
                    "dur": round((span.end - span.begin) * 1e6, 3),
                    "args": {"request": span.request, "step": span.step},
                }
            )
    return {"displayTimeUnit": "ms", "traceEvents": events}
