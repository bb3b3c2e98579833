"""What is to be compiled for which target, and the clock of its stages."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path

from ...targets.model import Target
from ..errors import UsageError
from ..hw.buckets import bucket_flags
from ..hw.load_target import find_target, load_target
from ..hw.try_rules import try_rules
from ..inputs.samples import Given, samples_of
from ..kept_places import NOTHING_KEPT
from ..load.bind_shapes import Shapes, shape_flags
from ..load.given_inputs import check_given
from ..load.load_model import LoadedModel, load_model
from ..load.source import Source


class Message(str):
    """A message of progress, the name of a stage that begins, which also says how much of the search is left: "attempt 2 of 12"; "" ends
    that. For whoever takes plain messages it is one."""

    budget: str

    def __new__(cls, text: str, budget: str) -> Message:
        made = super().__new__(cls, text)
        made.budget = budget
        return made


Progress = Callable[[str], None]
"""Is called with a message, maybe a `Message`, when a stage begins."""


def _require_bound(loaded: LoadedModel, target: Target) -> None:
    if not loaded.unbound:
        return
    static = [device.name for device in target.devices if device.static_shapes]
    needs = f"{', '.join(static)} {'needs' if len(static) == 1 else 'need'} static shapes"
    why = needs if static else "an arena cannot be planned for them"
    dims = ", ".join(loaded.unbound)
    buckets = f"; or what '{target.name}' names: {flags}" if (flags := bucket_flags(target)) else ""
    help = f"bind them: {shape_flags(loaded.proto)}{buckets}"
    raise UsageError(f"dynamic dims without a size: {dims}; {why}", where=str(loaded.source), help=help)


class Job:
    """What is to be compiled for what, and the clock."""

    def __init__(
        self,
        model: Source,
        target: str | PathLike[str] | Target,
        shapes: Shapes | None,
        progress: Progress | None,
        inputs: Given | None,
    ) -> None:
        self.model, self._shapes, self._inputs = model, shapes, inputs
        self.kept = NOTHING_KEPT
        """What lies at the start of the arena from run to run."""
        self.clock = Clock(progress or (lambda message: None))
        with self.clock.stage("read-target"):
            self.target = target if isinstance(target, Target) else load_target(target)
            self.target_file: Path | None = None if isinstance(target, Target) else find_target(target)
            self.notes = try_rules(self.target)

    def retargeted(self, target: Target) -> Job:
        """The same for another target, on a clock that tells nobody."""
        made = copy.copy(self)
        made.target, made.target_file, made.clock = target, None, Clock(lambda message: None)
        return made

    def of(self, model: Source) -> Job:
        """The same for a model that was made of the loaded one, whose dims are bound, on the same clock."""
        made = copy.copy(self)
        made.model, made._shapes = model, None
        return made

    def load(self) -> LoadedModel:
        """A fresh copy of the model, with every dim bound."""
        with self.clock.stage("load"):
            loaded = load_model(self.model, self._shapes)
            _require_bound(loaded, self.target)
            for _, arrays in samples_of(self._inputs):
                check_given(loaded.proto, arrays)
        return replace(loaded, kept=self.kept)


class Clock:
    """Reports progress and remembers how long each stage took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    def stage(self, name: str) -> Stage:
        self._progress(name)
        return Stage(self, name)


class Stage:
    def __init__(self, clock: Clock, name: str) -> None:
        self._clock, self._name, self._start = clock, name, time.perf_counter()

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self._clock.seconds[self._name] = self._clock.seconds.get(self._name, 0.0) + time.perf_counter() - self._start
