"""What measures: a runtime with a profiler of its own. Everything runs on one thread, in the thread that calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .clock import Chunk
from .join import Reported
from .ports import Ports, ports_of

if TYPE_CHECKING:
    import onnx

MOST_DRIFT = 2.0
"""A machine that changed its speed by more did something else meanwhile."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a profiler reports of one run: the mean of the quietest of many."""

    reported: tuple[Reported, ...]
    runs: int
    """That were averaged."""
    beside: float = 0.0
    """Seconds of a run that was timed just before without the profiler; 0: none was."""

    def at(self, seconds: float) -> Profile:
        """As it would have been had the machine run as fast as when a run took `seconds`: shared ones change by a fifth within minutes."""
        faster = seconds / self.beside if self.beside else 0.0
        if not 1 / MOST_DRIFT <= faster <= MOST_DRIFT:
            return self
        return replace(self, reported=tuple(replace(one, seconds=one.seconds * faster) for one in self.reported), beside=seconds)

    @property
    def seconds(self) -> float:
        """Of all operators, what the profiler itself takes included."""
        return sum(one.seconds for one in self.reported)

    @property
    def calls(self) -> float:
        return sum(one.calls for one in self.reported)


@dataclass(frozen=True, slots=True)
class Runnable:
    """A segment's file and where it reads and writes."""

    path: Path
    ports: Ports
    operators: int
    """In it."""

    @classmethod
    def of(cls, path: Path, model: onnx.ModelProto | None = None) -> Runnable:
        """With memory of its own for inputs and outputs. `model`: what the file holds, where it is read already. Raises ModelError for an
        input that no values can be made for."""
        import onnx

        model = model or onnx.load_model(path)
        return cls(path, ports_of(model), len(model.graph.node))

    def __reduce__(self) -> tuple[Callable[[Path], Runnable], tuple[Path]]:
        """Pickled without its memory: ports hold addresses of this process."""
        return Runnable.of, (self.path,)


class Source(Protocol):
    """A runtime that measures."""

    @property
    def runtime(self) -> str:
        """With its version: "onnxruntime 1.32.0"."""
        ...

    def latency(self, model: Runnable, budget: float) -> Chunk:
        """Seconds of one run without the profiler; `budget` seconds are spent. Raises BundleError where the runtime refuses the model."""
        ...

    def profile(self, model: Runnable, latency: float, budget: float) -> Profile:
        """Seconds by operator."""
        ...


def quietest(runs: Sequence[Sequence[Reported]], share: float) -> Profile:
    """The mean over the runs whose sums are lowest: durations are whole microseconds, so that no single one tells. Reports of one name in
    one run are added."""
    ranked = sorted(runs, key=lambda run: sum(one.seconds for one in run))
    kept = ranked[: max(1, round(share * len(ranked)))]
    found: dict[str, Reported] = {}
    for run in kept:
        for one in run:
            old = found.get(one.name)
            seconds, calls = (old.seconds, old.calls) if old else (0.0, 0.0)
            found[one.name] = replace(one, seconds=seconds + one.seconds / len(kept), calls=calls + one.calls / len(kept))
    return Profile(tuple(found.values()), len(kept))
