"""The process in which a bundle is measured: `python -m autoglmc.compiler.bench.worker REQUEST ANSWER`, two files.

It has imported what a session needs before the clock starts, and holds nothing else: so a cold start and memory are those of the bundle.
"""

from __future__ import annotations

import pickle
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..parent import end_with_parent
from .messages import Answer, Request
from .record import Memory, SegmentTimes, times_of

if TYPE_CHECKING:
    from ..run.session import Session


def measure(request: Request) -> Answer:
    """Loads the bundle, runs it cold, warm, and `repeat` times on the clock. Raises UserError as `Bundle.load` and `Session.run` do."""
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401

    from ..bundle.resident import ANY
    from ..run import session as _session  # noqa: F401
    from ..run.bundle import Bundle
    from ..run.generation import of_caller
    from ..run.one_entry import one_entry
    from ..run.resident import status_bytes
    from ..run.zero_inputs import zeros_for

    before, start = status_bytes(), time.perf_counter()
    bundle = Bundle.load(request.bundle, trust=request.trust).entry(request.entry)
    session = one_entry(bundle.folder, bundle.manifest, emulate=request.emulate, recompile=request.recompile, resident=ANY)
    loaded = time.perf_counter()
    inputs = request.inputs if request.inputs is not None else zeros_for(of_caller(bundle.manifest)[0])
    begun = time.perf_counter()
    session.run(inputs)
    first = time.perf_counter() - begun
    for _ in range(request.warmup):
        session.run(inputs)
    seconds, steps = _timed(session, inputs, request.repeat)
    segments, handoffs = _by_segment(session, steps)
    return Answer(
        load=loaded - start,
        first_run=first,
        seconds=seconds,
        segments=segments,
        handoffs=handoffs,
        memory=_memory(before, status_bytes()),
        emulated=session.emulated,
        notes=(*bundle.notes, *session.notes),
    )


def _timed(session: Session, inputs: dict[str, Any], repeat: int) -> tuple[tuple[float, ...], list[tuple[float, ...]]]:
    seconds, steps = [], []
    for _ in range(repeat):
        begun = time.perf_counter()
        outputs = session.run(inputs)
        seconds.append(time.perf_counter() - begun)
        steps.append(outputs.step_seconds)
    return tuple(seconds), steps


def _by_segment(session: Session, steps: list[tuple[float, ...]]) -> tuple[tuple[SegmentTimes, ...], float]:
    """Of every segment, and the median of all copies of a run together."""
    import statistics

    from ..run.result import runtime_of

    manifest, found = session.manifest, []
    schedule = manifest.schedule
    for number, step in enumerate(schedule):
        if step.segment is None:
            continue
        segment = manifest.segments[step.segment]
        found.append(
            SegmentTimes(
                segment=segment.index,
                device=segment.device,
                runtime=runtime_of(segment, session.emulated),
                hardware=session.devices[segment.index],
                seconds=times_of([run[number] for run in steps]),
            )
        )
    copies = [number for number, step in enumerate(schedule) if step.segment is None]
    return tuple(found), statistics.median(sum(run[number] for number in copies) for run in steps)


def _memory(before: dict[str, int] | None, after: dict[str, int] | None) -> Memory | None:
    if before is None or after is None:
        return None
    grown = {name: after[name] - before[name] for name in after}
    return Memory(private=grown["RssAnon"] + grown["RssShmem"], mapped=grown["RssFile"], peak_resident=after["VmHWM"])


def main() -> None:
    request: Request = pickle.loads(Path(sys.argv[1]).read_bytes())
    end_with_parent(request.parent)
    try:
        answer: Answer | UserError = measure(request)
    except UserError as problem:
        answer = problem
    Path(sys.argv[2]).write_bytes(pickle.dumps(answer))


if __name__ == "__main__":
    main()
