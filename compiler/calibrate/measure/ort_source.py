"""What onnxruntime's own profiler reports of a segment, and its time without the profiler."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...devices.cpu_session import open_session
from ...devices.ort import as_bundle_error, bound
from ...devices.ort_settings import DEFAULT, OrtSettings
from .clock import Chunk, least_runs, time_runs
from .join import Reported
from .source import Profile, Runnable, quietest

LEAST_RUNS, MOST_RUNS, MOST_EVENTS = 20, 1000, 60_000
"""Runs under the profiler, and operators in all of them (it writes no more than a million)."""
QUIET = 0.3
"""Share of the runs that is averaged."""
STOLEN = 1.03
"""A run that took this many times its thread's own time was interrupted: its durations are by the wall clock."""
ENDING = "_kernel_time"


class OrtSource:
    """Measures with onnxruntime's CPU."""

    def __init__(self, settings: OrtSettings = DEFAULT) -> None:
        self.settings = settings

    @property
    def runtime(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def latency(self, model: Runnable, budget: float) -> Chunk:
        with as_bundle_error(model.path):
            session = open_session(model.path, threads=1, settings=self.settings)
        segment = bound(model.path, session, model.ports.inputs, model.ports.outputs)
        return time_runs(lambda: segment.run(model.ports.values), budget)

    def profile(self, model: Runnable, latency: float, budget: float) -> Profile:
        wanted = min(budget / max(latency, 1e-7), MOST_RUNS, MOST_EVENTS / max(model.operators, 1))
        undisturbed = []
        with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
            with as_bundle_error(model.path):
                session = open_session(model.path, threads=1, settings=self.settings, profile=Path(folder) / "p")
            segment = bound(model.path, session, model.ports.inputs, model.ports.outputs)
            for _ in range(max(least_runs(LEAST_RUNS, latency), int(wanted))):
                wall, own = time.perf_counter_ns(), time.thread_time_ns()
                segment.run(model.ports.values)
                own, wall = time.thread_time_ns() - own, time.perf_counter_ns() - wall
                undisturbed.append(wall < STOLEN * own)
            events = msgspec.json.decode(Path(session.end_profiling()).read_bytes())
        runs = runs_in(events)[1:]
        kept = [run for run, calm in zip(runs, undisturbed[1:], strict=False) if calm]
        return quietest(kept if len(kept) >= LEAST_RUNS // 2 else runs, QUIET)


def runs_in(events: Sequence[Mapping[str, Any]]) -> list[list[Reported]]:
    """The operators of every run, without those inside the bodies of others, whose time includes theirs."""
    ends = sorted(event["ts"] + event["dur"] for event in events if event.get("name") == "model_run")
    nodes = sorted((event for event in events if event.get("cat") == "Node"), key=lambda event: (event["ts"], -event["dur"]))
    found: list[list[Reported]] = [[] for _ in ends]
    number, busy = 0, -1
    for event in nodes:
        begin, end = event["ts"], event["ts"] + event["dur"]
        while number < len(ends) and begin > ends[number]:
            number, busy = number + 1, -1
        if number < len(ends) and (begin >= busy or end > busy):
            found[number].append(Reported(event["name"].removesuffix(ENDING), event["dur"] * 1e-6, kind=event["args"].get("op_name", "")))
            busy = max(busy, end)
    return found
