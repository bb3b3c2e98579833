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

STATUS = Path("/proc/self/status")


def measure(request: Request) -> Answer:
    """Loads the bundle, runs it cold, warm, and `repeat` times on the clock. Raises UserError as `Bundle.load` and `Session.run` do."""
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401

    from ..run import session as _session  # noqa: F401
    from ..run.bundle import Bundle

    before, start = _pages(), time.perf_counter()
    bundle = Bundle.load(request.bundle, trust=request.trust)
    session = bundle.session(emulate=request.emulate, recompile=request.recompile)
    loaded = time.perf_counter()
    inputs = request.inputs if request.inputs is not None else zeros(bundle.manifest.model.inputs)
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
        memory=_memory(before, _pages()),
        emulated=session.emulated,
        notes=(*bundle.notes, *session.notes),
    )


def zeros(inputs: Any) -> dict[str, Any]:
    """For every input of a bundle: right for indices and masks too."""
    import numpy as np

    from ..devices.views import numpy_dtype

    return {one.name: np.zeros(one.shape or (), numpy_dtype(one.dtype)) for one in inputs}


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

    manifest, found = session.manifest, []
    schedule = manifest.schedule
    for number, step in enumerate(schedule):
        if step.segment is None:
            continue
        segment = manifest.segments[step.segment]
        adapter = segment.runtime.adapter
        stood_in = f"{segment.index} ({segment.device})" in session.emulated
        found.append(
            SegmentTimes(
                segment=segment.index,
                device=segment.device,
                runtime=f"ort for {adapter}" if stood_in else adapter,
                hardware=session.devices[segment.index],
                seconds=times_of([run[number] for run in steps]),
            )
        )
    copies = [number for number, step in enumerate(schedule) if step.segment is None]
    return tuple(found), statistics.median(sum(run[number] for number in copies) for run in steps)


def _pages() -> dict[str, int] | None:
    """Bytes of this process by kind; None where the system does not tell."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = {name: 1024 * int(words.split()[0]) for name, _, words in (line.partition(":") for line in lines) if name[:3] in ("Rss", "VmH")}
    return found if {"RssAnon", "RssFile", "RssShmem", "VmHWM"} <= found.keys() else None


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
