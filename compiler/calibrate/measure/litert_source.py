"""What LiteRT's profiler reports of a segment, XNNPACK's kernels among it, and its time without the profiler: on one thread, bound to
addresses, as bundles run it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...devices.litert.adapter import LiteRtAdapter
from ...devices.litert.bound import BoundSegment
from ...devices.litert.compiled import Compiled, Options
from ...devices.litert.library import LiteRtError
from ...devices.litert.operators import operators_in
from ...devices.litert.probe import refusal
from ...devices.litert.profiler import Event, Profiler
from ...devices.silence import silenced
from ...errors import BundleError, first_line
from .clock import Chunk, least_runs, time_runs
from .join import Reported
from .litert_names import reported
from .source import Profile, Runnable, quietest

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

LEAST_RUNS, MOST_RUNS = 30, 1000
QUIET = 0.3
"""Share of the runs that is averaged."""
CUT = 0.5e-6
"""What an event lacks: its time is cut to whole microseconds."""


class LiteRtSource:
    """Measures with LiteRT's CPU."""

    def __init__(self) -> None:
        self._written: tuple[Path, Array] | None = None

    @property
    def runtime(self) -> str:
        return f"litert {LiteRtAdapter().versions()['ai_edge_litert']}"

    def latency(self, model: Runnable, budget: float) -> Chunk:
        run, _, _ = self._opened(model, profiling=False)
        return time_runs(run, budget, time.process_time_ns)

    def profile(self, model: Runnable, latency: float, budget: float) -> Profile:
        run, compiled, content = self._opened(model, profiling=True)
        run()
        profiler, operators = Profiler(compiled), operators_in(content)
        runs: list[tuple[Event, ...]] = []
        # by the clock: to read the events takes longer than a short run
        least, begun = least_runs(LEAST_RUNS, latency), time.monotonic()
        while len(runs) < least or (len(runs) < MOST_RUNS and time.monotonic() - begun < budget):
            runs.append(profiler.events(run))
        quiet = quietest(reported(runs, operators), QUIET)
        return Profile(tuple(_whole(one) for one in quiet.reported), quiet.runs)

    def _opened(self, model: Runnable, profiling: bool) -> tuple[Callable[[], object], Compiled, Array]:
        """One run, the compiled model and the file's bytes. Raises BundleError where LiteRT refuses the model, or cannot be bound."""
        why = refusal()
        if why:
            raise BundleError(f"LiteRT cannot be timed: {why}")
        try:
            content = self._content(model.path)
            with silenced(2):
                compiled = Compiled(content, Options(threads=1, profiling=profiling))
            segment = BoundSegment(model.path, compiled, model.ports.inputs, model.ports.outputs, "")
        except (LiteRtError, RuntimeError, ValueError) as problem:
            raise BundleError(f"LiteRT does not take {model.path.name}: {first_line(problem)}", where=str(model.path)) from None
        return lambda: segment.run({}), compiled, content

    def _content(self, path: Path) -> Array:
        """The .tflite file; of the latest model it is kept, which is opened with the profiler at once after without."""
        import numpy
        import onnx

        if self._written is None or self._written[0] != path:
            self._written = path, numpy.frombuffer(LiteRtAdapter().written(onnx.load_model(path)), numpy.uint8)
        return self._written[1]


def _whole(one: Reported) -> Reported:
    return replace(one, seconds=one.seconds + CUT * one.calls)
