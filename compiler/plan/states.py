"""Where tensors lie that stay from run to run: at the start of the arena, apart from everything else, at the same offsets in every entry of
a bundle. Input and output of a cache are one place where the segment is proven to extend it in place; else they are two. Behind the caches
lies what another model of the bundle writes for this one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...passes.place.segment import Segment
from ..arena.pack import Plan, plan
from ..bundle.plan_records import SlotRecord
from ..devices.find_adapter import adapter_for
from ..devices.in_place import KeepsCaches, extends_cache
from .in_place import Body, Pair, alike, executed_by
from .schedule import Schedule
from .segments import Compiled

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSlots:
    """What lies at the start of the arena. Slots by index."""

    first: tuple[int, ...] = ()
    """One behind the other in this order."""
    rooms: Mapping[int, int] = field(default_factory=dict)
    """Bytes that are kept free for some of them."""
    placed: Mapping[int, int] = field(default_factory=dict)
    """Others, and their offsets."""
    begin: int = 0
    """First byte that is this plan's own."""

    @property
    def all(self) -> frozenset[int]:
        return frozenset(self.first) | frozenset(self.placed)


def kept_slots(compiled: Compiled, made: Schedule, slots: Sequence[SlotRecord]) -> KeptSlots:
    """Where a slot of `placed` cannot lie at its offset, because it is padded, converted, or a range of another one, it is left out."""
    kept = compiled.kept
    rooms = {made.at[name, compiled.host]: room for name, room in kept.rooms if (name, compiled.host) in made.at}
    ranges = {k for k, slot in enumerate(slots) if slot.inside is not None} | {s.inside.slot for s in slots if s.inside is not None}
    placed = {}
    for name, offset in kept.placed:
        k = made.at.get((name, compiled.host))
        if k is not None and k not in ranges and alike(slots[k], slots[k]) and offset % slots[k].align == 0:
            placed[k] = offset
    return KeptSlots(first=(*places_of_states(compiled, made, slots), *rooms), rooms=rooms, placed=placed, begin=kept.begin)


def places_of_states(compiled: Compiled, made: Schedule, slots: Sequence[SlotRecord]) -> tuple[int, ...]:
    """Slots of the caches on the host: first all inputs, in the order of `KeptPlaces.states`, then all outputs that are whole caches, and
    not rows that the session puts there."""
    both = [[made.at.get((name, compiled.host)) for name in pair] for pair in compiled.kept.states]
    whole = [now for old, now in both if old is None or now is None or slots[old].shape == slots[now].shape]
    return tuple(k for k in (*(old for old, _ in both), *whole) if k is not None)


def caches_in_place(compiled: Compiled, made: Schedule, slots: Sequence[SlotRecord], held: Sequence[int]) -> dict[Pair, str]:
    """The caches whose output may lie over their input, and why each is safe: those that a segment binds where they are kept."""
    at = {slots[k].tensor: k for k in held}
    found: dict[Pair, str] = {}
    known: dict[int, onnx.ModelProto | None] = {}
    for past, present in compiled.kept.states:
        segment = _between(compiled, past, present)
        if segment is None or past not in at or present not in at or not alike(slots[at[past]], slots[at[present]]):
            continue
        if any(made.at.get((name, segment.device)) != at[name] for name in (past, present)):
            continue
        if segment.index not in known:
            known[segment.index] = segment.without_weights() if _keeps(compiled, segment) else executed_by(compiled, segment.index)
        executed = known[segment.index]
        reason = "" if executed is None else extends_cache(executed, past, present)
        if reason:
            found[Pair(segment.index, at[past], at[present])] = reason
    return found


def _keeps(compiled: Compiled, segment: Segment) -> bool:
    runtime = compiled.runtimes[segment.device]
    return isinstance(adapter_for(runtime.adapter, runtime.words), KeepsCaches)


def _between(compiled: Compiled, past: str, present: str) -> Segment | None:
    """The one segment that reads the cache, where it writes it, too."""
    readers = [segment for segment in compiled.segments if past in segment.inputs]
    return readers[0] if len(readers) == 1 and present in readers[0].outputs else None


def plan_behind(buffers: Sequence[Body], kept: KeptSlots, lies_in: Sequence[int], *, page: int, effort: int, enough: int) -> Plan:
    """Offsets of buffers: what is kept at the start of the arena, where no other is at any time. lies_in: of each slot, the buffer that it
    lies in."""
    if not kept.first and not kept.placed and not kept.begin:
        return plan(buffers, page=page, effort=effort, enough=enough)
    offsets = {buffers[lies_in[k]].name: offset for k, offset in kept.placed.items()}
    rooms, end = {lies_in[k]: room for k, room in kept.rooms.items()}, kept.begin
    chosen = dict.fromkeys(lies_in[k] for k in kept.first)
    for index in chosen:
        buffer = buffers[index]
        offsets[buffer.name] = -(-end // buffer.align) * buffer.align
        end = offsets[buffer.name] + max(buffer.bytes, rooms.get(index, 0))
    others = [buffer for buffer in buffers if buffer.name not in offsets]
    begin = _rounded(end, others)
    rest = plan(others, page=page, effort=effort, enough=max(enough - begin, 0))
    offsets |= {name: offset + begin for name, offset in rest.offsets.items()}
    total = max((offsets[buffer.name] + buffer.bytes for buffer in buffers), default=0)
    return replace(rest, offsets=offsets, total=total, lower_bound=begin + rest.lower_bound if others else total)


def _rounded(end: int, others: Sequence[Body]) -> int:
    align = math.lcm(*(buffer.align for buffer in others))
    return -(-end // align) * align
