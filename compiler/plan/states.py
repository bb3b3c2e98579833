"""Where caches lie that stay from run to run: at the begin of the arena, apart from everything else, at the same offsets in every entry of
a bundle. Input and output of a run are one place where the segment is proven to extend its cache in place; else they are two."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...passes.place.segment import Segment
from ..arena.pack import Plan, plan
from ..bundle.plan_records import SlotRecord
from ..devices.in_place import extends_cache
from .in_place import Body, Pair, alike, executed_by
from .schedule import Schedule
from .segments import Compiled

if TYPE_CHECKING:
    import onnx


def places_of_states(compiled: Compiled, made: Schedule) -> tuple[int, ...]:
    """Slots of the caches on the host: first all inputs, in the order of `Compiled.states`, then all outputs."""
    names = [*(past for past, _ in compiled.states), *(present for _, present in compiled.states)]
    return tuple(k for name in names if (k := made.at.get((name, compiled.host))) is not None)


def caches_in_place(compiled: Compiled, slots: Sequence[SlotRecord], held: Sequence[int]) -> dict[Pair, str]:
    """The caches whose output may lie over their input, and why each is safe."""
    at = {slots[k].tensor: k for k in held}
    found: dict[Pair, str] = {}
    known: dict[int, onnx.ModelProto | None] = {}
    for past, present in compiled.states:
        segment = _between(compiled, past, present)
        if segment is None or past not in at or present not in at or not alike(slots[at[past]], slots[at[present]]):
            continue
        if segment.index not in known:
            known[segment.index] = executed_by(compiled, segment.index)
        executed = known[segment.index]
        reason = "" if executed is None else extends_cache(executed, past, present)
        if reason:
            found[Pair(segment.index, at[past], at[present])] = reason
    return found


def _between(compiled: Compiled, past: str, present: str) -> Segment | None:
    """The one segment that reads the cache, where it writes it, too."""
    readers = [segment for segment in compiled.segments if past in segment.inputs]
    return readers[0] if len(readers) == 1 and present in readers[0].outputs else None


def plan_behind(buffers: Sequence[Body], first: Iterable[int], *, page: int, effort: int, enough: int) -> Plan:
    """Offsets of buffers, those of `first` (by index) one behind the other at the begin of the arena, where no other is at any time."""
    chosen = list(first)
    if not chosen:
        return plan(buffers, page=page, effort=effort, enough=enough)
    offsets: dict[str, int] = {}
    end = 0
    for buffer in (buffers[k] for k in chosen):
        offsets[buffer.name] = -(-end // buffer.align) * buffer.align
        end = offsets[buffer.name] + buffer.bytes
    others = [buffer for k, buffer in enumerate(buffers) if k not in set(chosen)]
    begin = _rounded(end, others)
    rest = plan(others, page=page, effort=effort, enough=max(enough - begin, 0))
    moved = {name: offset + begin for name, offset in rest.offsets.items()}
    total = begin + rest.total if others else end
    return replace(rest, offsets={**moved, **offsets}, total=total, lower_bound=begin + rest.lower_bound if others else end)


def _rounded(end: int, others: Sequence[Body]) -> int:
    align = math.lcm(*(buffer.align for buffer in others))
    return -(-end // align) * align
