"""Whether slots that are ranges of others are: inside them, for as long as they live, dense, and parts without gap or overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ....targets.dtypes import BITS
from ...bundle.plan_records import SlotRecord


def wrong_range(slots: Sequence[SlotRecord]) -> str:
    """The first slot whose `inside` contradicts it or the other slot; "" for none. Near linear in the slots."""
    parts: dict[int, list[tuple[int, int]]] = {}
    kinds: dict[int, str] = {}
    for index, slot in enumerate(slots):
        if slot.inside is None:
            continue
        base, at = slot.inside.slot, f".slots[{index}].inside"
        if base >= len(slots) or base == index or slots[base].inside is not None:
            return f"{at}: slot {base} is not one with bytes of its own"
        problem = _outside(slot, slots[base])
        if problem:
            return f"{at}: {problem}"
        if kinds.setdefault(base, slot.inside.kind) != slot.inside.kind:
            return f"{at}: slot {base} has views and parts"
        if slot.inside.kind == "part":
            parts.setdefault(base, []).append((slot.inside.start, slot.bytes))
    return next((problem for base, found in parts.items() if (problem := _not_filled(slots[base], found))), "")


def _outside(slot: SlotRecord, whole: SlotRecord) -> str:
    assert slot.inside is not None
    start = slot.inside.start
    if slot.offset != whole.offset + start or start + slot.bytes > (whole.packed or 0):
        return f"[{slot.offset}, {slot.offset + slot.bytes}) is not {start} bytes into {whole.tensor!r}, or ends after it"
    if slot.bytes != slot.packed or slot.dtype != whole.dtype or not (_dense(slot) and _dense(whole)):
        return f"{slot.dtype}{list(slot.shape)} is not a range of packed {whole.dtype}{list(whole.shape)}"
    if slot.lifetime[0] < whole.lifetime[0] or slot.lifetime[1] > whole.lifetime[1]:
        return f"lives in steps {list(slot.lifetime)}, {whole.tensor!r} in {list(whole.lifetime)}"
    return ""


def _dense(slot: SlotRecord) -> bool:
    width = BITS[slot.dtype] // 8
    packed = tuple(width * math.prod(slot.shape[axis + 1 :]) for axis in range(len(slot.shape)))
    return slot.strides == packed and slot.device_dtype == slot.dtype and not slot.packed_on_cpu


def _not_filled(whole: SlotRecord, parts: Sequence[tuple[int, int]]) -> str:
    end = 0
    for start, size in sorted(parts):
        if start != end:
            return f".slots: the parts of {whole.tensor!r} {'overlap' if start < end else 'leave a gap'} at byte {min(start, end)}"
        end = start + size
    return "" if end == whole.packed else f".slots: the parts of {whole.tensor!r} end at {end} of {whole.packed} bytes"
