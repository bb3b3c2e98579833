"""Whether the results that a manifest puts over inputs may lie there, as far as a manifest can tell: the segment that writes one reads the
other, nobody reads that one later, and a runtime is named that tells what it executes. Whether the operators allow it is proved when the
segment is loaded (in_place.py)."""

from __future__ import annotations

from collections.abc import Iterator

from ...bundle.manifest import Manifest
from ...bundle.plan_records import SegmentRecord
from ...devices.find_adapter import adapter_for
from ...devices.in_place import KeepsCaches, TellsExecution


def wrong_in_place(manifest: Manifest) -> Iterator[str]:
    """What a result's `in_place` says that ports, runtimes or outputs contradict. After check_arena and check_schedule: the slot taken over
    is live until the step that writes the result, and not in a later one."""
    slots = manifest.arena.slots
    writers = {port.slot: segment for segment in manifest.segments for port in segment.outputs}
    results = {value.slot for value in manifest.model.outputs}
    results |= {inside.slot for k in results if k is not None and (inside := slots[k].inside) is not None}
    for index, slot in enumerate(slots):
        if slot.in_place is None:
            continue
        base, at = slot.in_place.slot, f"arena.slots[{index}].in_place"
        segment = writers.get(index)
        read = [] if segment is None else [slots[port.slot].inside or port.slot for port in segment.inputs if port.slot is not None]
        if segment is None or [k if isinstance(k, int) else k.slot for k in read].count(base) != 1 or base not in read:
            yield f"{at}: no segment that writes {slot.tensor!r} reads slot {base}, that and nothing inside of it"
        elif not _may_write(manifest, segment, slot.tensor):
            yield f"{at}: runtime {segment.runtime.adapter} does not tell in which order it reads and writes"
        if base in results:
            yield f"{at}: {slots[base].tensor!r} is an output of the model"


def _may_write(manifest: Manifest, segment: SegmentRecord, result: str) -> bool:
    """Whether anything may be known of the runtime that writes the result over an input."""
    adapter = adapter_for(segment.runtime.adapter, segment.runtime.options)
    caches = isinstance(adapter, KeepsCaches) and any(state.present == result and state.length for state in manifest.states)
    return caches or isinstance(adapter, TellsExecution)
