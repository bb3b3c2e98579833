"""Whether the arena of a manifest is a plan of memory: every slot holds its tensor, inside the arena, and no two live ones overlap.

Time is n log n in the slots, and the first problem ends the check: a manifest may come from anywhere.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Protocol

from ....targets.dtypes import BITS
from ...bundle.manifest import Manifest
from ...bundle.plan_records import ArenaRecord, HandoffRecord, SlotRecord
from ...devices.views import ONNX_TYPES
from ...errors import BundleError
from .check_ranges import wrong_range

LARGEST_ALIGN = 1 << 30
"""Bytes; no device asks for more than a huge page."""


def check_arena(manifest: Manifest, where: str) -> None:
    """Raises BundleError naming the field of the arena that contradicts another one."""
    arena, last = manifest.arena, max(len(manifest.schedule) - 1, 0)
    padded: dict[tuple[str, str], list[HandoffRecord]] = {}
    for handoff in manifest.handoffs:
        padded.setdefault((handoff.tensor, handoff.consumer), []).append(handoff)
    for index, slot in enumerate(arena.slots):
        problem = _misfit(slot, arena, last) or _wrong_layout(slot, padded)
        if problem:
            raise BundleError(f"arena.slots[{index}] ({slot.tensor}): {problem}", where=where)
    problem = (
        _wrong_numbers(arena)
        or _bound_twice(arena.slots)
        or wrong_range(arena.slots)
        or _wrong_share(arena.slots)
        or first_overlap(arena.slots, _last_steps(arena.slots))
    )
    if problem:
        raise BundleError(f"arena{problem}", where=where)


def _misfit(slot: SlotRecord, arena: ArenaRecord, last: int) -> str:
    needed = slot.packed
    if slot.dtype not in ONNX_TYPES or needed is None or needed > slot.bytes or slot.lifetime[0] > slot.lifetime[1]:
        return f"{slot.bytes} bytes, lifetime {list(slot.lifetime)}, do not hold {slot.dtype}{list(slot.shape)}"
    if slot.lifetime[1] > last:
        return f"lifetime {list(slot.lifetime)} ends after the last step, {last}"
    if slot.offset % slot.align or arena.align % slot.align:
        what = f"offset {slot.offset}" if slot.offset % slot.align else f"arena.align {arena.align}"
        return f"{what} is not a multiple of {slot.align}"
    if slot.offset + slot.bytes > arena.total:
        return f"ends at {slot.offset + slot.bytes}, after the arena's {arena.total} bytes"
    return ""


def _wrong_layout(slot: SlotRecord, handoffs: Mapping[tuple[str, str], Sequence[HandoffRecord]]) -> str:
    """What its strides or `packed_on_cpu` say that shape, dtypes and the handoffs' rows do not; "" for nothing."""
    if slot.device_dtype not in BITS:
        return f"device_dtype {slot.device_dtype!r} is not a dtype"
    asked = math.lcm(*(h.row_align for device in (slot.device, *slot.aliases) for h in handoffs.get((slot.tensor, device), ())))
    fitting: set[bool] = set()
    for order in _orders(slot):
        stored = tuple(slot.shape[axis] for axis in order)
        packed = _row(slot, stored, 1)
        for row in (packed, _row(slot, stored, asked)):
            if _strides(slot, order, row) == slot.strides and row * math.prod(stored[:-1]) <= slot.bytes:
                fitting.add(row != packed or slot.device_dtype != slot.dtype or stored != slot.shape)
    if not fitting:
        packed = _row(slot, slot.shape, 1)
        return f"strides {list(slot.strides)} are not those of {slot.device_dtype}{list(slot.shape)} with rows of {packed} bytes"
    if slot.packed_on_cpu not in fitting:
        return f"packed_on_cpu is {str(slot.packed_on_cpu).lower()}, its strides and dtypes say otherwise"
    return ""


def _orders(slot: SlotRecord) -> list[tuple[int, ...]]:
    """Orders of the axes in memory: as they are, and with channels last."""
    return [tuple(range(len(slot.shape))), *([(0, 2, 3, 1)] if len(slot.shape) == 4 else [])]


def _row(slot: SlotRecord, stored: Sequence[int], align: int) -> int:
    packed = ((stored[-1] if stored else 1) * BITS[slot.device_dtype] + 7) // 8
    return -(-packed // align) * align


def _strides(slot: SlotRecord, order: Sequence[int], row: int) -> tuple[int, ...]:
    """Per axis of the model, for axes that lie in this order in memory."""
    found, step = dict.fromkeys(order, 0), row
    for place, axis in enumerate(reversed(order)):
        found[axis] = BITS[slot.device_dtype] // 8 if place == 0 else step
        step = step * slot.shape[axis] if place else step
    return tuple(found[axis] for axis in range(len(slot.shape)))


def _wrong_numbers(arena: ArenaRecord) -> str:
    end = max((slot.offset + slot.bytes for slot in arena.slots), default=0)
    if arena.total != end:
        return f".total is {arena.total}, the highest slot ends at {end}"
    if arena.lower_bound > arena.total:
        return f".lower_bound is {arena.lower_bound}, more than the {arena.total} bytes of the arena"
    for name, value in (("align", arena.align), ("page", arena.page)):
        if value > LARGEST_ALIGN:
            return f".{name} is {value} bytes, at most {LARGEST_ALIGN} are possible"
    return ""


def _bound_twice(slots: Sequence[SlotRecord]) -> str:
    bound = Counter((slot.tensor, device) for slot in slots for device in (slot.device, *slot.aliases))
    twice = next((key for key, times in bound.items() if times > 1), None)
    return "" if twice is None else f".slots: {twice[1]} binds {twice[0]!r} twice"


class Live(Protocol):
    """Bytes with a lifetime: a slot of the arena, or another."""

    @property
    def name(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def lifetime(self) -> tuple[int, int]: ...


def _wrong_share(slots: Sequence[SlotRecord]) -> str:
    """A result that cannot take over the bytes of the slot it names, as far as the arena tells; "" for none. See check_in_place.py."""
    taken: set[int] = set()
    for index, slot in enumerate(slots):
        if slot.in_place is None:
            continue
        base, at = slot.in_place.slot, f".slots[{index}].in_place"
        if base >= len(slots) or base == index or base in taken:
            return f"{at}: slot {base} is not one whose bytes {slot.tensor!r} alone could take over"
        taken.add(base)
        other = slots[base]
        if slot.inside is not None or other.inside is not None:
            return f"{at}: {slot.tensor!r} or {other.tensor!r} is a range of other bytes"
        same = (slot.offset, slot.bytes, slot.packed, slot.dtype) == (other.offset, other.bytes, other.packed, other.dtype)
        if not same or slot.packed_on_cpu or other.packed_on_cpu:
            return f"{at}: {_span(slot)} of {slot.dtype}{list(slot.shape)} does not lie as {_span(other)} of {other.dtype}"
        if other.lifetime[1] != slot.lifetime[0]:
            begin, end = slot.lifetime[0], other.lifetime[1]
            return f"{at}: {slot.tensor!r} lives from step {begin} on, {other.tensor!r} is used until step {end}"
    return ""


def _last_steps(slots: Sequence[SlotRecord]) -> dict[int, int]:
    """Where it is not a slot's own: one that a result takes over ends a step earlier, for in that step the result holds its bytes; ranges
    of a slot are that slot's, and hold none of their own."""
    last = {k: slot.lifetime[0] - 1 for k, slot in enumerate(slots) if slot.inside is not None}
    return last | {slot.in_place.slot: slot.lifetime[0] - 1 for slot in slots if slot.in_place is not None}


def first_overlap(slots: Sequence[Live], last_steps: Mapping[int, int] | None = None) -> str:
    """Two slots that share bytes while both are live; "" for none. Live slots lie in order and apart, so a new one meets a neighbour.
    `last_steps`: by index, those at which a slot is live last where that is not what its lifetime says."""
    last = [(last_steps or {}).get(k, slot.lifetime[1]) for k, slot in enumerate(slots)]
    live: list[tuple[int, int]] = []
    ends: list[tuple[int, int]] = []
    there = [k for k, slot in enumerate(slots) if slot.bytes and slot.lifetime[0] <= last[k]]
    for index in sorted(there, key=lambda k: slots[k].lifetime[0]):
        slot = slots[index]
        while ends and ends[0][0] < slot.lifetime[0]:
            gone = heappop(ends)[1]
            del live[bisect_left(live, (slots[gone].offset, gone))]
        at = bisect_left(live, (slot.offset, index))
        for _, other in live[max(at - 1, 0) : at + 1]:
            if slot.offset < slots[other].offset + slots[other].bytes and slots[other].offset < slot.offset + slot.bytes:
                return f".slots: {_span(slots[other])} and {_span(slot)} are live together and overlap"
        insort(live, (slot.offset, index))
        heappush(ends, (last[index], index))
    return ""


def _span(slot: Live) -> str:
    return f"{slot.name!r} [{slot.offset}, {slot.offset + slot.bytes})"
