"""One arena, every segment bound to it, run step by step."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from ..activity import Limits, Line, doing, limited, unwatched_seconds
from ..bundle.manifest import Manifest
from ..bundle.packed import files_for, folder_of
from ..bundle.plan_records import SegmentRecord
from ..devices.adapter import Adapter, Haltable, LoadedSegment, Port, Rebindable, Remarking, StandIn
from ..devices.views import view_at
from ..errors import BundleError, UsageError
from .arena_memory import ArenaMemory
from .check_inputs import check_inputs
from .choose_adapters import choose_adapters, find_blob
from .generation import NOT_MOVED, Generation, StepCall, made_by_steps, ports_of, slots_at, step_words
from .give_back import give_back
from .in_place import Apart, check_caches, results_over_inputs, unproved
from .outputs import About, Outputs, Spans, plain, written
from .resident import measure_resident
from .shared_addresses import shared_addresses
from .turn import Turn

Observe = Callable[[str, str, Any], None]
"""Told (tensor, device, value) after the step that wrote it; the value is only valid during the call."""
POISON = 0xFF
"""NaN in every float, -1 in signed integers: a slot nobody wrote shows."""


class Session:
    """A loaded bundle, for as many runs as wanted. Memory and sessions are made once, here.

    `run` and `run_many` may be called from any thread: the arena holds one request at a time, so a call waits until the one before is done.
    `put`, `run_step`, `get` and `view` work on what lies in the arena between calls; they are for one thread at a time. With `with` it is
    closed at the end.

    Attributes: `devices` (which really runs each segment), `emulated`, `native`, `narrow` and `copied` (segments, as "0 (npu)": on the CPU
    in place of their device; on another runtime than onnxruntime's CPU; in a narrower dtype; with their tensors copied), `not_run` (the
    device, by index of a segment, in whose place other kernels compute what was compiled for it), `absent` (why the runtime of a segment
    is not here, by index), `zero_copy` (how many handoffs share addresses), `arena_fd`.

    shared: the arena lies behind a file descriptor, `arena_fd`, for other processes to map; arena_fd: map the one of another process.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        emulate: bool = False,
        poison: bool = False,
        recompile: bool = False,
        shared: bool = False,
        arena_fd: int | None = None,
        memory: ArenaMemory | None = None,
    ) -> None:
        """memory: that of another session of the same bundle, which runs at other times."""
        self.manifest, self._folder, self._poison = manifest, folder, poison
        self._notes: list[str] = []
        self._adapters, self.absent = choose_adapters(manifest, emulate, recompile)
        self._files, self._scratch = files_for(self, folder, manifest), folder_of(self) if recompile else None
        self.emulated = tuple(f"{index} ({manifest.segments[index].device})" for index in self.absent)
        self._memory = [memory or ArenaMemory(manifest.arena.total, manifest.arena.align, shared=shared, fd=arena_fd)]
        self.base, self.arena_fd = self._memory[0].base, self._memory[0].fd
        self._dtypes = {value.tensor: value.dtype for value in manifest.arena.host_values}
        self._slots = slots_at(manifest.arena, self.base)
        self._size = sum(record.size for record in manifest.files.values())
        loaded = [measure_resident(partial(self._load, r, a, self._slots)) for r, a in zip(manifest.segments, self._adapters, strict=True)]
        self._segments, self.resident = [segment for segment, _ in loaded], tuple(added for _, added in loaded)
        self.generations = [Generation(manifest, self.base, self._slots, self._segments, str(folder))]
        self._ranges, self._named, self._turn = made_by_steps(manifest), dict[str, Any](), Turn()
        self._describe()

    def _describe(self) -> None:
        each = list(zip(self.manifest.segments, self._adapters, self._segments, strict=True))
        self.devices = tuple(segment.device for segment in self._segments)
        self.native = tuple(f"{r.index} ({r.device}): {a.name} on {s.device}" for r, a, s in each if a.name != "ort")
        self.not_run: Mapping[int, str] = {r.index: s.not_run for r, _, s in each if isinstance(s, StandIn)}
        self.narrow = tuple(f"{r.index} ({r.device}): {a.narrow} on {s.device}" for r, a, s in each if a.narrow)
        self.copied = tuple(f"{r.index} ({r.device})" for r, _, s in each if s.copies)
        self.zero_copy = shared_addresses(self.manifest, self._slots, self._folder)
        self._about = About(self.emulated, self.copied, self.narrow)
        self._beats = Line(f"running the bundle for {self.manifest.target.name}", step_words(self.manifest), self._size)

    def run(self, inputs: Mapping[str, Any], observe: Observe | None = None, *, time_limit: float | None = None) -> Outputs:
        """One request. Raises UserError for inputs that are not the model's, BundleError where a runtime fails or writes elsewhere.

        time_limit: seconds that it may take; beyond it, it raises TimeLimit. A runtime that cannot be stopped is waited for."""
        with self._turn:
            if time_limit is None and unwatched_seconds() is None:
                return self._run(inputs, observe)
            with limited(Limits(time_limit)), doing(self._beats.text, size=self._size, halt=self.halt):
                return self._run(inputs, observe)

    def _run(self, inputs: Mapping[str, Any], observe: Observe | None) -> Outputs:
        generation = self._first
        named = self.place(generation, inputs)
        return self.take(generation, named, self.run_placed(named, observe))

    def run_placed(self, named: dict[str, Any], observe: Observe | None = None) -> Sequence[float] | Spans:
        """Every step, on inputs that lie in the arena, and those passed by name; for one thread at a time, and without limits on time."""
        numbers, at, marks, now = self._beats.numbers, self._beats.at, [perf_counter()], perf_counter
        calls = self._first.calls
        try:
            if observe is not None:
                return tuple(self._observed(calls, named, observe))
            for beat, call in enumerate(calls, self._beats.next()):
                numbers[at] = beat
                call(named)
                marks.append(now())
            return marks
        finally:
            numbers[at] = 0

    def _observed(self, calls: Sequence[StepCall], named: dict[str, Any], observe: Observe) -> Iterator[tuple[float, float]]:
        first = self._beats.next()
        for index, call in enumerate(calls):
            self._beats.numbers[self._beats.at], begin = first + index, perf_counter()
            call(named)
            yield begin, perf_counter()
            for tensor, device, value in written(self.manifest, self._slots, self._ranges, index, named):
                observe(tensor, device, value)

    def line(self) -> Line:
        """Says to whoever watches this process what a thread of its own runs."""
        return Line(self._beats.text, step_words(self.manifest), self._size)

    def halt(self, stop: bool) -> None:
        """Ends what its runtimes do, from another thread, where they can be ended; until it is called with False."""
        for generation in self.generations:
            for segment in generation.segments:
                if isinstance(segment, Haltable):
                    segment.halt(stop)

    def run_many(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        pipeline: bool = False,
        generations: int | None = None,
        step_limit: float | None = None,
    ) -> list[Outputs]:
        """The outputs of each request, in order; the same bits with and without `pipeline`.

        pipeline: consecutive requests overlap, a thread per device. Each of the `generations` (default: as many as there are devices,
        2 to 4) has an arena of its own; raises UserError where that is more than the target's budgets leave.
        step_limit: seconds that one step may take; none by default. Beyond it the run ends with a StepFailed, as when a step raises.
        """
        from .run_many import one_by_one, overlapped

        with self._turn:
            first = self._first
            if not pipeline and step_limit is None:
                return one_by_one(self, first, requests)
            return overlapped(self, requests, generations if pipeline else 1, step_limit)

    def extend(self, count: int) -> None:
        """At least so many generations; further ones share the segments' weights where the runtime can be bound again."""
        from .more_generations import plan_more

        manifest, missing = self.manifest, count - len(self.generations)
        if missing <= 0:
            return
        plan = plan_more(manifest, count, missing)
        self._memory.append(ArenaMemory(plan.total, manifest.arena.align))
        for offset in plan.offsets:
            base = self._memory[-1].base + offset
            slots = slots_at(manifest.arena, base)
            segments = [self._again(k, slots) for k in range(len(self._segments))]
            self.generations.append(Generation(manifest, base, slots, segments, str(self._folder)))

    def beside(self, memory: ArenaMemory | None = None, moved: Mapping[int, int] = NOT_MOVED) -> Session:
        """The same segments bound to another arena, or with slots `moved`; weights are shared where the runtime can be bound again."""
        made, memory = copy(self), memory or self._memory[0]
        made._memory, made.base, made.arena_fd = [memory], memory.base, memory.fd
        made._slots = slots_at(self.manifest.arena, memory.base, moved)
        segments = [self._again(k, made._slots) for k in range(len(self._segments))]
        made.generations = [Generation(self.manifest, memory.base, made._slots, segments, str(self._folder))]
        made._named, made._turn, made._beats = {}, Turn(), self.line()
        return made

    def close(self) -> None:
        """Ends what its runtimes hold, and gives the arena back. It cannot be used any more, and may be closed again."""
        if self._turn.close():
            self.generations.clear()
            self._segments, self._memory, self._slots = [], [], []
            give_back()

    def __enter__(self) -> Session:
        self._turn.check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def abandon(self) -> None:
        """A thread that could not be stopped still runs a segment: from now on every use is a BundleError."""
        self.generations.clear()

    @property
    def _first(self) -> Generation:
        self._turn.check_open()
        if not self.generations:
            raise BundleError("a segment of this session still runs, and could not be stopped", help="load the bundle again")
        return self.generations[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What came up while segments were compiled here, and in their first runs."""
        return tuple(dict.fromkeys((*self._notes, *(note for generation in self.generations for note in generation.notes))))

    @property
    def arena_bytes(self) -> int:
        """Of all generations."""
        return len(self.generations) * self.manifest.arena.total

    @property
    def loaded_again(self) -> tuple[str, ...]:
        """Segments whose runtime binds addresses once, so that every generation has its weights again: "1 (gpu)"."""
        each = zip(self.manifest.segments, self._segments, strict=True)
        return tuple(f"{r.index} ({r.device})" for r, s in each if not isinstance(s, Rebindable)) if len(self.generations) > 1 else ()

    def put(self, inputs: Mapping[str, Any]) -> None:
        """Writes the inputs to their slots, for `run_step`."""
        self._named = self.place(self._first, inputs)

    def run_step(self, index: int) -> None:
        """One step of the schedule, on what lies in the arena; who runs the others, and in what order, is the caller's business."""
        self._first.calls[index](self._named)

    def get(self) -> Outputs:
        """The outputs that lie in the arena."""
        return self.take(self._first, self._named, ())

    def view(self, tensor: str, device: str) -> Any:
        """The tensor where `device` binds it, in the arena itself: what is written there is read by the next step."""
        self._turn.check_open()
        for slot, at in zip(self.manifest.arena.slots, self._slots, strict=True):
            if slot.tensor == tensor and device in (slot.device, *slot.aliases):
                found = view_at(at)
                weakref.finalize(found.base, len, self._memory)  # the arena outlives every view of these bytes
                return found
        raise UsageError(f"{device} binds no tensor {tensor!r} in the arena")

    def place(self, generation: Generation, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the inputs to the generation's slots; returns the values passed by name. Raises UsageError for inputs that do not fit."""
        if self._poison or generation.by_name or len(inputs) != len(generation.inputs):
            return self._place_any(generation, inputs)
        for name, view, dtype, shape in generation.inputs:
            array = inputs.get(name)
            if getattr(array, "dtype", None) != dtype or array.shape != shape:  # type: ignore[union-attr]
                return self._place_any(generation, inputs)
            if array is not view:
                view[...] = array
        return {}

    def _place_any(self, generation: Generation, inputs: Mapping[str, Any]) -> dict[str, Any]:
        checked = check_inputs(self.manifest, inputs)
        if self._poison:
            ctypes.memset(generation.base, POISON, self.manifest.arena.total)
        for name, view, _, _ in generation.inputs:
            if view is not None and checked[name] is not view:
                view[...] = checked[name]
        return {name: checked[name] for name in generation.by_name}

    def take(self, generation: Generation, named: Mapping[str, Any], marks: Sequence[float] | Spans) -> Outputs:
        """Copies of the outputs, once every step has run."""
        values = {name: plain(named[name]) if view is None else view.copy() for name, view in generation.outputs}
        return Outputs(values, self._about, marks)

    def _load(self, segment: SegmentRecord, adapter: Adapter, slots: Sequence[Port]) -> LoadedSegment:
        blob = find_blob(self._files, segment, adapter, self._scratch, self._notes.append) if adapter.suffix else None
        inputs, outputs = ports_of(segment.inputs, slots, self._dtypes), ports_of(segment.outputs, slots, self._dtypes)
        with doing(f"loading segment {segment.index} ({segment.device})", size=self._size):
            loaded = adapter.load(self._files / segment.file, blob, inputs, outputs)
            give_back()
            self._notes += loaded.remarks if isinstance(loaded, Remarking) else ()
            check_caches(self.manifest, segment, adapter, self._folder)
            over = results_over_inputs(self.manifest, segment)
            if not over or not (unknown := unproved(adapter, self._files / segment.file, over)):
                return loaded
            what = f"segment {segment.index} ({segment.device}) computes {', '.join(over)} apart and copies them over its inputs"
            self._notes.append(f"{what}: the runtime here is not known to do so with {', '.join(unknown)}")
            return Apart(loaded, inputs, outputs, tuple(over))

    def _again(self, index: int, slots: Sequence[Port]) -> LoadedSegment:
        record, loaded = self.manifest.segments[index], self._segments[index]
        if not isinstance(loaded, Rebindable):
            return self._load(record, self._adapters[index], slots)
        return loaded.again(ports_of(record.inputs, slots, self._dtypes), ports_of(record.outputs, slots, self._dtypes))
