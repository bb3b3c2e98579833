"""Whether a bundle can be trusted before anything of it runs, as far as it says so itself. A bundle is hostile input: it may come from
anywhere. What hashes and these checks cannot know is said in docs/trust.md.

In this order: files against their hashes (check_files), entries and caches against each other (check_entries), then entry by entry the plan
of memory (check_arena, check_memories), the flow of values (check_schedule), the segments against all of it (check_segments). Each check
costs little more than reading what it checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ....targets.dtypes import BITS, WITHOUT_BITS
from ...bundle.entries import views
from ...bundle.manifest import Manifest
from ...bundle.plan_records import HandoffRecord, SegmentRecord
from ...devices.find_adapter import adapter_for
from ...devices.ort_settings import OPTIMISERS
from ...errors import BundleError
from .check_arena import check_arena
from .check_entries import check_entries
from .check_files import check_files
from .check_in_place import wrong_in_place
from .check_memories import check_memories
from .check_schedule import check_schedule
from .check_segments import check_segments


def check_bundle(folder: Path, manifest: Manifest) -> None:
    """Raises BundleError naming the first field or file at fault."""
    check_files(folder, manifest)
    check_entries(manifest, str(folder))
    for view in views(manifest):
        check_plan(view, str(folder))
        check_segments(folder, view)


def check_plan(manifest: Manifest, where: str) -> None:
    """Raises BundleError where the manifest contradicts itself."""
    if not manifest.model.outputs:
        raise BundleError("model.outputs is empty", where=where)
    for field, values in (("inputs", manifest.model.inputs), ("outputs", manifest.model.outputs)):
        if len({value.name for value in values}) < len(values):
            raise BundleError(f"model.{field} names a tensor twice", where=where)
    check_arena(manifest, where)
    check_schedule(manifest, where)
    check_memories(manifest, where)
    found = (*map(_wrong_runtime, manifest.segments), *_wrong_handoffs(manifest), *wrong_in_place(manifest), _wrong_verification(manifest))
    for problem in found:
        if problem:
            raise BundleError(problem, where=where)


def _wrong_runtime(segment: SegmentRecord) -> str:
    """What a segment says of its runtime that cannot be; "" for nothing."""
    runtime, field = segment.runtime, f"segments[{segment.index}]"
    off = runtime.optimizers_off
    if unknown := [name for name in off if name not in OPTIMISERS]:
        return f"{field}.runtime.optimizers_off: {unknown[0]!r} is no optimiser of onnxruntime"
    if len(set(off)) < len(off):
        return f"{field}.runtime.optimizers_off names an optimiser twice"
    if segment.compute_dtype not in BITS and segment.compute_dtype not in WITHOUT_BITS:
        return f"{field}.compute_dtype {segment.compute_dtype!r} is not a dtype"
    if segment.blob is None:
        return f"{field}.runtime.versions are of a blob, and there is none" if runtime.versions else ""
    adapter = adapter_for(runtime.adapter, runtime.options)
    suffix = "" if adapter is None else adapter.suffix
    if adapter is not None and not (suffix and segment.blob.endswith(suffix)):
        return f"{field}.blob {segment.blob}: runtime {runtime.adapter} compiles {f'to *{suffix}' if suffix else 'nothing ahead of time'}"
    return ""


def _wrong_handoffs(manifest: Manifest) -> Iterator[str]:
    """Handoffs that neither the slots nor the steps know, and aliases and steps without one."""
    slots = manifest.arena.slots
    bound = {(slot.tensor, device): k for k, slot in enumerate(slots) for device in (slot.device, *slot.aliases)}
    named = {value.tensor for value in manifest.arena.host_values}
    steps = {(step.source, step.destination): step.kind for step in manifest.schedule if step.segment is None}
    aliases = {(slot.tensor, device) for slot in slots for device in slot.aliases}
    for index, handoff in enumerate(manifest.handoffs):
        if handoff.tensor in named:
            continue
        ends = bound.get((handoff.tensor, handoff.producer)), bound.get((handoff.tensor, handoff.consumer))
        yield _wrong_handoff(f"handoffs[{index}]", handoff, ends, steps.pop(ends, None))
        aliases.discard((handoff.tensor, handoff.consumer))
    yield from (f"schedule has a {kind} of slot {ends[0]} into slot {ends[1]}, and no handoff says so" for ends, kind in steps.items())
    yield from (f"arena.slots: {device} reads {tensor!r} in place, and no handoff says so" for tensor, device in sorted(aliases))


def _wrong_handoff(field: str, handoff: HandoffRecord, ends: tuple[int | None, int | None], step: str | None) -> str:
    way = f"{field} of {handoff.tensor!r} from {handoff.producer} to {handoff.consumer}"
    if None in ends:
        return f"{way}: {handoff.producer if ends[0] is None else handoff.consumer} has no slot of it"
    if handoff.mode == "zero_copy":
        return "" if ends[0] == ends[1] else f"{way} is zero_copy, and they have two slots"
    return "" if step == handoff.mode else f"{way} is a {handoff.mode}, and no such step is in schedule"


def _wrong_verification(manifest: Manifest) -> str:
    record, planned = manifest.verification, manifest.segments
    if [(one.index, one.device) for one in record.segments] != [(segment.index, segment.device) for segment in planned]:
        return "verification.segments are not those of the bundle"
    if record.verified and (record.reasons or any(one.judged == "not judged" for one in record.segments)):
        return "verification.verified is true, and its reasons or segments say otherwise"
    return ""
