"""Results over inputs, when a bundle is loaded and run: where the runtime that is here is not proved to allow it, and where a trial in the
first run shows that it does not, the result is computed elsewhere and copied to its place. Both cost memory, neither costs a wrong answer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.manifest import Manifest
from ..bundle.plan_records import SegmentRecord
from ..bundle.segment_operators import read_model
from ..devices.adapter import Adapter, Haltable, LoadedSegment, Port, Rebindable
from ..devices.in_place import KeepsCaches, TellsExecution, extends_cache, proof_of
from ..devices.views import packed_bytes
from ..errors import BundleError
from .arena_memory import ArenaMemory

if TYPE_CHECKING:
    import onnx

ALIGN = 64


def results_over_inputs(manifest: Manifest, segment: SegmentRecord) -> dict[str, str]:
    """Tensors that the segment writes over the input named beside them. Not those over caches, which have no other place (check_caches)."""
    caches = {state.past for state in manifest.states}
    return {result: source for result, source in _over(manifest, segment).items() if source not in caches}


def _over(manifest: Manifest, segment: SegmentRecord) -> dict[str, str]:
    slots = manifest.arena.slots
    written = ((port.tensor, slots[port.slot].in_place) for port in segment.outputs if port.slot is not None)
    return {tensor: slots[record.slot].tensor for tensor, record in written if record is not None}


def check_caches(manifest: Manifest, segment: SegmentRecord, adapter: Adapter, folder: Path) -> None:
    """Raises BundleError where the runtime that is here is not known to extend a cache in place that the manifest has there."""
    pasts = {state.past for state in manifest.states}
    over = {result: source for result, source in _over(manifest, segment).items() if source in pasts}
    if not over:
        return
    executed = _with_caches(adapter, folder / segment.file)
    for result, source in over.items():
        if executed is None or not extends_cache(executed, source, result):
            what = f"segment {segment.index} ({segment.device}): the runtime here is not known to extend the cache {source!r} in place"
            raise BundleError(what, where=str(folder), help="compile the model again with the runtime that is here")


def _with_caches(adapter: Adapter, path: Path) -> onnx.ModelProto | None:
    """The segment as far as caches are concerned; None where it is not known what its runtime does with them."""
    if isinstance(adapter, TellsExecution):
        return adapter.executed(path)
    return read_model(path) if isinstance(adapter, KeepsCaches) else None


def unproved(adapter: Adapter, model: Path, over: Mapping[str, str]) -> tuple[str, ...]:
    """The results for which it is not proved that the runtime that is here may write them over their input."""
    if not isinstance(adapter, TellsExecution):
        return tuple(over)
    executed = adapter.executed(model)
    return tuple(result for result, source in over.items() if not proof_of(executed, source, result))


class Apart:
    """A segment with results in memory of its own, which each run copies to their places."""

    copies = True

    def __init__(self, segment: LoadedSegment, inputs: Sequence[Port], outputs: Sequence[Port], results: Sequence[str]) -> None:
        if not isinstance(segment, Rebindable):
            raise BundleError(f"the runtime of {segment.device} can be given addresses once: {results[0]} cannot lie over an input")
        self.device = segment.device
        self._results = tuple(results)
        moved = [port for port in outputs if port.name in results]
        steps = [-(-max(packed_bytes(port), 1) // ALIGN) * ALIGN for port in moved]
        self._memory = ArenaMemory(sum(steps), ALIGN)
        starts = {port.name: self._memory.base + sum(steps[:k]) for k, port in enumerate(moved)}
        self.ports = tuple(replace(port, address=starts[port.name]) for port in moved)
        """Where the results are computed."""
        self._moves = tuple((port.address, starts[port.name], packed_bytes(port)) for port in moved)
        self._segment = segment.again(inputs, [replace(port, address=starts.get(port.name, port.address)) for port in outputs])

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        made = self.compute(values)
        self.deliver()
        return made

    def compute(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """A run that leaves the places of its results alone."""
        return self._segment.run(values)

    def deliver(self) -> None:
        for place, computed, size in self._moves:
            assert place is not None
            ctypes.memmove(place, computed, size)

    def differing(self) -> Iterator[str]:
        """Results whose places hold other bytes than were computed here."""
        for port, (place, computed, size) in zip(self.ports, self._moves, strict=True):
            assert place is not None
            if ctypes.string_at(place, size) != ctypes.string_at(computed, size):
                yield port.name

    def misplaced(self) -> Sequence[str]:
        return self._segment.misplaced()

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        return Apart(self._segment, inputs, outputs, self._results)

    def halt(self, stop: bool) -> None:
        if isinstance(self._segment, Haltable):
            self._segment.halt(stop)
