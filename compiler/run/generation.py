"""One generation of a bundle's arena: the memory of one request at a time, and every segment bound to it.

The first run of every step is the proof that its segment writes its outputs there (devices/marks.py). Results that lie over inputs are
computed elsewhere in that run, with marks before, then in place: other bits, and they stay elsewhere (in_place.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ..bundle.manifest import Manifest
from ..bundle.plan_records import ArenaRecord, PortRecord, SegmentRecord, ValueRecord
from ..devices.adapter import LoadedSegment, Port
from ..devices.marks import elements_at, run_marked
from ..devices.views import numpy_dtype, view_at
from ..errors import BundleError
from .in_place import Apart, results_over_inputs

StepCall = Callable[[dict[str, Any]], object]
"""Runs one step; takes the values passed by name, and adds those that the step makes."""
NOT_MOVED: Mapping[int, int] = MappingProxyType({})
"""Slots by index, and bytes."""


def slots_at(arena: ArenaRecord, base: int, moved: Mapping[int, int] = NOT_MOVED) -> list[Port]:
    """The arena's slots, in their order, for an arena that begins at the address `base`; moved: bytes that some lie behind their places."""
    return [Port(slot.tensor, slot.dtype, slot.shape, base + slot.offset + moved.get(k, 0)) for k, slot in enumerate(arena.slots)]


def of_caller(manifest: Manifest) -> tuple[tuple[ValueRecord, ...], tuple[ValueRecord, ...]]:
    """Inputs that a caller gives and outputs that it gets: all but those that stay in the arena."""
    pasts, presents = {state.past for state in manifest.states}, {state.present for state in manifest.states}
    model = manifest.model
    return tuple(v for v in model.inputs if v.name not in pasts), tuple(v for v in model.outputs if v.name not in presents)


def ports_of(records: Sequence[PortRecord], slots: Sequence[Port], dtypes: Mapping[str, str]) -> list[Port]:
    """A segment's inputs or outputs at their addresses. `dtypes`: of the tensors outside the arena."""

    def port(record: PortRecord) -> Port:
        if record.slot is None:
            return Port(record.tensor, dtypes.get(record.tensor, "unknown"), None, None)
        return replace(slots[record.slot], name=record.tensor)

    return [port(record) for record in records]


def step_words(manifest: Manifest) -> list[str]:
    """Per step, what it is: "segment 0 on npu", "copy of enc.out"."""
    slots, segments = manifest.arena.slots, manifest.segments
    return [
        f"segment {step.segment} on {segments[step.segment].device}"
        if step.segment is not None
        else f"{step.kind} of {slots[step.source or 0].tensor}"
        for step in manifest.schedule
    ]


def made_by_steps(manifest: Manifest) -> dict[int, list[int]]:
    """Per step, the slots that are there after it because others are: ranges of what it writes, and wholes of which it writes the last
    part."""
    slots = manifest.arena.slots
    writer = {
        port.slot: index
        for index, step in enumerate(manifest.schedule)
        if step.segment is not None
        for port in manifest.segments[step.segment].outputs
    }
    writer |= {step.destination: index for index, step in enumerate(manifest.schedule) if step.destination is not None}
    made: dict[int, int] = {}
    for k, slot in enumerate(slots):
        if slot.inside is not None:
            result, source = (k, slot.inside.slot) if slot.inside.kind == "view" else (slot.inside.slot, k)
            made[result] = max(made.get(result, -1), writer.get(source, -1))
    found: dict[int, list[int]] = {}
    for result, step_index in made.items():
        found.setdefault(step_index, []).append(result)
    return found


class Generation:
    """Steps in the order of the schedule (`calls`), inputs to write and outputs to read, all views made once.

    A call raises BundleError where its segment did not write an output to its place; whatever the runtime raises passes."""

    def __init__(self, manifest: Manifest, base: int, slots: Sequence[Port], segments: Sequence[LoadedSegment], folder: str) -> None:
        self.base, self.slots, self.segments = base, slots, segments
        self._manifest, self._folder = manifest, folder
        self._dtypes = {value.tensor: value.dtype for value in manifest.arena.host_values}
        self.notes: list[str] = []
        """What the first runs showed."""
        inputs, outputs = of_caller(manifest)
        self._caches = frozenset(state.present for state in manifest.states)
        self.inputs = [(v.name, *self._view(v.slot)) for v in inputs]
        self.by_name = tuple(v.name for v in inputs if v.slot is None)
        self.outputs = [(v.name, self._view(v.slot)[0]) for v in outputs]
        self.calls: list[StepCall] = [self._call(k) for k in range(len(manifest.schedule))]

    def _view(self, slot: int | None) -> tuple[Any, Any, tuple[int, ...] | None]:
        """View, numpy dtype and shape; of a value outside the arena, None."""
        if slot is None:
            return None, None, None
        return view_at(self.slots[slot]), numpy_dtype(self.slots[slot].dtype), self.slots[slot].shape

    def _call(self, index: int) -> StepCall:
        import numpy

        step = self._manifest.schedule[index]
        if step.segment is not None:
            return partial(self._first_run, index, step.segment)
        assert step.source is not None and step.destination is not None
        destination, source = self._view(step.destination)[0], self._view(step.source)[0]
        return lambda named: numpy.copyto(destination, source)

    def _first_run(self, index: int, number: int, named: dict[str, Any]) -> None:
        record, segment = self._manifest.segments[number], self.segments[number]
        trial = self._apart(record, segment)
        # marks would be written over what a cache holds, and a run writes only its new rows
        written = [port for port in record.outputs if port.tensor not in self._caches]
        outputs = {port.tensor: elements_at(self.slots[port.slot]) for port in written if port.slot is not None}
        if trial is not None:
            outputs |= {port.name: elements_at(port) for port in trial.ports}
        run = self._caller(record, segment.run)
        for left in run_marked(partial(run if trial is None else self._caller(record, trial.compute), named), outputs):
            if left.elements == left.of:
                raise self._misplaced(record, left.name)
            raise BundleError(f"segment {record.index} ({record.device}): {left}", where=self._folder)
        wrong = segment.misplaced()
        if wrong:
            raise self._misplaced(record, ", ".join(wrong))
        if trial is not None:
            run = self._run_in_place(record, trial, run, named)
        self.calls[index] = run

    def _apart(self, record: SegmentRecord, segment: LoadedSegment) -> Apart | None:
        """The segment with results elsewhere that the manifest puts over inputs; None where there are none."""
        over = results_over_inputs(self._manifest, record)
        if not over or isinstance(segment, Apart):
            return segment if over and isinstance(segment, Apart) else None
        inputs, outputs = (ports_of(ports, self.slots, self._dtypes) for ports in (record.inputs, record.outputs))
        return Apart(segment, inputs, outputs, tuple(over))

    def _run_in_place(self, record: SegmentRecord, trial: Apart, run: StepCall, named: dict[str, Any]) -> StepCall:
        """Writes the results, which `trial` has computed, over the inputs; how that is to be done from now on."""
        if trial is self.segments[record.index]:
            trial.deliver()
            return run
        run(named)
        wrong = list(trial.differing())
        if not wrong:
            return run
        trial.deliver()
        self.notes.append(f"segment {record.index} ({record.device}) computes {', '.join(wrong)} apart: in place it gave other bits")
        return self._caller(record, trial.run)

    def _caller(self, record: SegmentRecord, run: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> StepCall:
        by_name = tuple(port.tensor for port in record.outputs if port.slot is None)
        return partial(_run_named, record, run, by_name, self._folder) if by_name else run

    def _misplaced(self, record: SegmentRecord, tensors: str) -> BundleError:
        what = f"segment {record.index} ({record.device}) did not write {tensors} to its place in the arena"
        return BundleError(what, where=self._folder)


def _run_named(
    record: SegmentRecord,
    run: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    by_name: Sequence[str],
    folder: str,
    named: dict[str, Any],
) -> None:
    got = run(named)
    missing = [name for name in by_name if name not in got]
    if missing:
        raise BundleError(f"segment {record.index} ({record.device}) did not return {', '.join(missing)}", where=folder)
    named.update(got)
