"""One arena, every segment bound to it, run step by step."""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bundle import Manifest, PortRecord, SegmentRecord, ValueRecord
from .devices.adapter import Absent, Adapter, LoadedSegment, Port, absence, adapter_for
from .errors import BundleError, UsageError, UserError, did_you_mean
from .load_blob import find_blob
from .slot_view import numpy_dtype, packed_bytes, view_at

Observe = Callable[[str, str, Any], None]
"""Told (tensor, device, value) after the step that wrote it; the value is only valid during the call."""
POISON = 0xFF
"""NaN in every float, -1 in signed integers: a slot nobody wrote shows."""


class Outputs(dict[str, Any]):
    """Graph outputs by name (copies, yours to keep), with how they came about."""

    emulated: tuple[str, ...]
    """Segments that ran on the CPU in place of a device that is not here: "0 (npu)"."""
    copied: tuple[str, ...]
    """Segments whose runtime could not be given addresses."""
    narrow: tuple[str, ...]
    """Segments that a device computed in a narrower dtype than their own."""
    step_seconds: tuple[float, ...]
    """Per step of the schedule."""

    def __init__(self, values: Mapping[str, Any], session: Session, step_seconds: tuple[float, ...]) -> None:
        super().__init__(values)
        self.emulated, self.copied, self.narrow, self.step_seconds = session.emulated, session.copied, session.narrow, step_seconds


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slot at its address."""

    dtype: str
    shape: tuple[int, ...]
    address: int


class Session:
    """A loaded bundle, for as many runs as wanted, one at a time. Memory and sessions are made once, here."""

    def __init__(self, folder: Path, manifest: Manifest, *, emulate: bool = False, poison: bool = False, recompile: bool = False) -> None:
        self._manifest, self._folder, self._poison, self._recompile = manifest, folder, poison, recompile
        adapters, self.emulated = _adapters(manifest, emulate)
        self._memory, self.base = _map(manifest)
        self._slices = [_Slice(slot.dtype, slot.shape, self.base + slot.offset) for slot in manifest.arena.slots]
        self._dtypes = {value.tensor: value.dtype for value in manifest.arena.host_values}
        self._segments = [self._load(segment, adapter) for segment, adapter in zip(manifest.segments, adapters, strict=True)]
        self.devices = tuple(segment.device for segment in self._segments)
        self.native = tuple(
            f"{r.index} ({r.device}): {a.name} on {s.device}"
            for r, a, s in zip(manifest.segments, adapters, self._segments, strict=True)
            if a.name != "ort"
        )
        self.narrow = tuple(
            f"{r.index} ({r.device}): {a.narrow} on {s.device}"
            for r, a, s in zip(manifest.segments, adapters, self._segments, strict=True)
            if a.narrow
        )
        self.copied = tuple(f"{r.index} ({r.device})" for r, s in zip(manifest.segments, self._segments, strict=True) if s.copies)
        self.zero_copy = self._shared_addresses()
        self._proved = False

    def traffic(self, index: int) -> tuple[int, int]:
        """Bytes that a segment reads and writes in place, and those copied for it."""
        record = self._manifest.segments[index]
        total = sum(packed_bytes(self._slices[p.slot]) for p in (*record.inputs, *record.outputs) if p.slot is not None)
        return (0, total) if self._segments[index].copies else (total, 0)

    def _shared_addresses(self) -> int:
        """How many zero-copy handoffs there are; raises BundleError where the two sides are bound to different addresses."""
        at: dict[tuple[str, str], int] = {}
        for record in self._manifest.segments:
            for port in (*record.inputs, *record.outputs):
                if port.slot is not None:
                    at[port.tensor, record.device] = self._slices[port.slot].address
        found = [handoff for handoff in self._manifest.handoffs if handoff.mode == "zero_copy"]
        for handoff in found:
            here, there = at.get((handoff.tensor, handoff.producer)), at.get((handoff.tensor, handoff.consumer))
            if here is not None and there is not None and here != there:
                sides = f"{handoff.producer} and {handoff.consumer}"
                raise BundleError(f"the zero-copy handoff of {handoff.tensor} has two addresses, of {sides}", where=str(self._folder))
        return len(found)

    def run(self, inputs: Mapping[str, Any], observe: Observe | None = None) -> Outputs:
        """One request. Raises UserError for inputs that are not the model's, BundleError where a runtime fails or writes elsewhere."""
        values = check_inputs(self._manifest, inputs)
        named = self._place_inputs(values)
        seconds = []
        for step in self._manifest.schedule:
            start = time.perf_counter()
            if step.segment is not None:
                named.update(self._segments[step.segment].run(named))
            else:
                assert step.source is not None and step.destination is not None
                view_at(self._slices[step.destination])[...] = view_at(self._slices[step.source])
            seconds.append(time.perf_counter() - start)
            if observe is not None and step.segment is not None:
                self._show(self._manifest.segments[step.segment], named, observe)
        self._prove()
        results = {value.name: self._take(value, named) for value in self._manifest.model.outputs}
        return Outputs(results, self, tuple(seconds))

    def _load(self, segment: SegmentRecord, adapter: Adapter) -> LoadedSegment:
        def port(record: PortRecord) -> Port:
            if record.slot is None:
                return Port(record.tensor, self._dtypes.get(record.tensor, "unknown"), None, None)
            place = self._slices[record.slot]
            return Port(record.tensor, place.dtype, place.shape, place.address)

        blob = find_blob(self._folder, segment, adapter, self._recompile) if adapter.suffix else None
        return adapter.load(self._folder / segment.file, blob, [port(p) for p in segment.inputs], [port(p) for p in segment.outputs])

    def _place_inputs(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if self._poison:
            ctypes.memset(self.base, POISON, self._manifest.arena.total)
        named: dict[str, Any] = {}
        for value in self._manifest.model.inputs:
            if value.slot is None:
                named[value.name] = values[value.name]
            else:
                view_at(self._slices[value.slot])[...] = values[value.name]
        return named

    def _show(self, segment: SegmentRecord, named: Mapping[str, Any], observe: Observe) -> None:
        from .devices.ort_values import plain

        for port in segment.outputs:
            value = plain(named[port.tensor]) if port.slot is None else view_at(self._slices[port.slot])
            observe(port.tensor, segment.device, value)

    def _take(self, value: ValueRecord, named: Mapping[str, Any]) -> Any:
        from .devices.ort_values import plain

        return plain(named[value.name]) if value.slot is None else view_at(self._slices[value.slot]).copy()

    def _prove(self) -> None:
        """After the first run: every segment wrote where the plan says, or this bundle is not run again."""
        if self._proved:
            return
        for record, segment in zip(self._manifest.segments, self._segments, strict=True):
            wrong = segment.misplaced()
            if wrong:
                what = f"segment {record.index} ({record.device}) did not write {', '.join(wrong)} to its place in the arena"
                raise BundleError(what, where=str(self._folder))
        self._proved = True


def check_inputs(manifest: Manifest, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as arrays; raises UsageError naming what is missing, unknown, or of another dtype or shape."""
    import numpy

    wanted = {value.name: value for value in manifest.model.inputs}
    unknown = [name for name in inputs if name not in wanted]
    if unknown:
        raise UsageError(f"the model has no input {unknown[0]!r}", help=did_you_mean(unknown[0], wanted))
    missing = [name for name in wanted if name not in inputs]
    if missing:
        described = ", ".join(f"{name}: {wanted[name].dtype}{_shape(wanted[name])}" for name in missing)
        help = "numpy.savez(path, name=array, …) with every input"
        raise UsageError(f"missing input{'s' if len(missing) > 1 else ''} {described}", help=help)
    checked = {}
    for name, value in wanted.items():
        if value.slot is None:
            checked[name] = inputs[name]
            continue
        array = numpy.asarray(inputs[name])
        if array.dtype != numpy_dtype(value.dtype) or array.shape != value.shape:
            got = f"{array.dtype}{list(array.shape)}"
            takes = f"{numpy_dtype(value.dtype)}{_shape(value)}"
            raise UsageError(f"input {name!r} is {got}, the bundle takes {takes}", help=_advice(array, value))
        checked[name] = array
    return checked


def _advice(array: Any, value: ValueRecord) -> str:
    if array.shape != value.shape:
        return "a bundle takes the one shape it was compiled for; compile again with another --shape"
    return f"convert it: array.astype('{numpy_dtype(value.dtype)}')"


def _shape(value: ValueRecord) -> str:
    return "" if value.shape is None else str(list(value.shape))


def _adapters(manifest: Manifest, emulate: bool) -> tuple[list[Adapter], tuple[str, ...]]:
    """An adapter per segment, and the segments whose runtime is not here. Raises UserError for those unless `emulate`."""
    host = adapter_for("ort")
    assert host is not None
    adapters: list[Adapter] = []
    absent: dict[int, Absent] = {}
    for segment in manifest.segments:
        adapter = adapter_for(segment.runtime.adapter, segment.runtime.options)
        lack = absence(segment.runtime.adapter, segment.runtime.options)
        if lack is not None:
            absent[segment.index] = lack
        adapters.append(host if lack is not None or adapter is None else adapter)
    if absent and not emulate:
        reasons = dict.fromkeys(lack.reason for lack in absent.values())
        kinds = {reason: [manifest.segments[i] for i, lack in absent.items() if lack.reason == reason] for reason in reasons}
        what = "; ".join(_cannot(reason, segments) for reason, segments in kinds.items())
        advice = dict.fromkeys(lack.help for lack in absent.values() if lack.help)
        raise UserError(what, help=", or ".join((*advice, "run them on the CPU instead with --emulate")))
    lack = host.missing()
    if lack is not None:
        raise UserError(lack.reason, help=lack.help)
    return adapters, tuple(f"{index} ({manifest.segments[index].device})" for index in absent)


def _cannot(reason: str, segments: Sequence[SegmentRecord]) -> str:
    each = ", ".join(f"{segment.index} ({segment.device}: runtime {segment.runtime.adapter})" for segment in segments)
    return f"segment{'s' if len(segments) > 1 else ''} {each} cannot run here: {reason}"


def _map(manifest: Manifest) -> tuple[mmap.mmap, int]:
    """Anonymous memory for the arena and the address of its first byte, aligned as the arena asks."""
    arena = manifest.arena
    size = max(arena.total, 1) + arena.align
    try:
        memory = mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    except (OSError, ValueError, OverflowError) as error:
        raise BundleError(f"the arena's {arena.total} bytes cannot be mapped: {error}") from None
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return memory, -(-address // arena.align) * arena.align
