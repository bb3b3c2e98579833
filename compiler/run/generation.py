"""One generation of a bundle's arena: the memory of one request at a time, and every segment bound to it.

The first run of every step is the proof that its segment writes its outputs there (devices/marks.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..bundle.manifest import Manifest
from ..bundle.plan_records import ArenaRecord, PortRecord, SegmentRecord
from ..devices.adapter import LoadedSegment, Port
from ..devices.marks import elements_at, run_marked
from ..devices.views import numpy_dtype, view_at
from ..errors import BundleError

StepCall = Callable[[dict[str, Any]], object]
"""Runs one step; takes the values passed by name, and adds those that the step makes."""


def slots_at(arena: ArenaRecord, base: int) -> list[Port]:
    """The arena's slots, in their order, for an arena that begins at the address `base`."""
    return [Port(slot.tensor, slot.dtype, slot.shape, base + slot.offset) for slot in arena.slots]


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


class Generation:
    """Steps in the order of the schedule (`calls`), inputs to write and outputs to read, all views made once.

    A call raises BundleError where its segment did not write an output to its place; whatever the runtime raises passes."""

    def __init__(self, manifest: Manifest, base: int, slots: Sequence[Port], segments: Sequence[LoadedSegment], folder: str) -> None:
        self.base, self.slots, self.segments = base, slots, segments
        self._manifest, self._folder = manifest, folder
        self.inputs = [(v.name, *self._view(v.slot)) for v in manifest.model.inputs]
        self.by_name = tuple(v.name for v in manifest.model.inputs if v.slot is None)
        self.outputs = [(v.name, self._view(v.slot)[0]) for v in manifest.model.outputs]
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
        by_name = tuple(port.tensor for port in record.outputs if port.slot is None)
        run: StepCall = partial(_run_named, record, segment, by_name, self._folder) if by_name else segment.run
        outputs = {port.tensor: elements_at(self.slots[port.slot]) for port in record.outputs if port.slot is not None}
        for left in run_marked(partial(run, named), outputs):
            if left.elements == left.of:
                raise self._misplaced(record, left.name)
            raise BundleError(f"segment {record.index} ({record.device}): {left}", where=self._folder)
        wrong = segment.misplaced()
        if wrong:
            raise self._misplaced(record, ", ".join(wrong))
        self.calls[index] = run

    def _misplaced(self, record: SegmentRecord, tensors: str) -> BundleError:
        what = f"segment {record.index} ({record.device}) did not write {tensors} to its place in the arena"
        return BundleError(what, where=self._folder)


def _run_named(record: SegmentRecord, segment: LoadedSegment, by_name: Sequence[str], folder: str, named: dict[str, Any]) -> None:
    got = segment.run(named)
    missing = [name for name in by_name if name not in got]
    if missing:
        raise BundleError(f"segment {record.index} ({record.device}) did not return {', '.join(missing)}", where=folder)
    named.update(got)
