"""From a compiled model to one arena: a slot for every tensor that crosses a segment boundary, padded as its links ask.

A row is the last axis. A device that wants rows padded to `row_align` bytes gives its tensors the strides of the padded rows. onnxruntime
binds contiguous tensors only: the CPU stand-in uses the packed form at the same base, and the slot keeps the padded bytes reserved.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from ...targets.dtypes import BITS
from ...targets.forms import CHANNELS_FIRST, stored_shape
from ...targets.operator_view import TensorView
from ..arena.pack import Plan
from ..arena.validate import violations
from ..bundle.plan_records import ArenaRecord, HandoffRecord, HostValueRecord, InPlaceRecord, InsideRecord, SlotRecord, StepRecord
from ..devices.adapter import Needs
from ..devices.find_adapter import adapter_for
from .in_place import Pair, bodies, choose
from .schedule import Place, Schedule, schedule
from .segments import Compiled, View
from .states import caches_in_place, kept_slots, plan_behind

BASE_ALIGN = 64
"""A cache line: no two slots share one, and what onnxruntime's shared-memory allocators insist on."""

FIRST_EFFORT = 10
"""Planning effort (some 0.15 s, and only where no greedy plan is at the lower bound)."""
LAST_EFFORT = 700
"""Planning effort (some 10 s) where the first plan does not fit, and another one may; `--effort` multiplies it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaPlan:
    arena: ArenaRecord
    steps: tuple[StepRecord, ...]
    places: tuple[Place, ...]
    """Who uses a slot, in the order of `arena.slots`."""
    at: Mapping[tuple[str, str], int]

    def slot_of(self, tensor: str, device: str) -> int | None:
        """Index of the slot that `device` binds for `tensor`; None for a tensor outside the arena."""
        return self.at.get((tensor, device))


def plan_arena(compiled: Compiled, *, room: int | None = None, effort: float = 1.0, in_place: bool = True) -> ArenaPlan:
    """Slots, offsets and steps. `room`: mapped bytes beyond which planning tries harder, as long as the lower bound is within them; whether
    the plan then keeps the target's limits is for `limits.check_limits` to say, which knows what else takes memory. `effort`: times the
    default effort. `in_place`: results may take the bytes of their segment's inputs where that is proved (in_place.py)."""
    made, slots = _unplaced(compiled)

    kept = kept_slots(compiled, made, slots)
    states = caches_in_place(compiled, made, slots, kept.first)

    def pack(pairs: Sequence[Pair], harder: float = FIRST_EFFORT, enough: int = 0) -> Plan:
        joined, lies_in = bodies(slots, (*pairs, *states))
        return plan_behind(joined, kept, lies_in, page=compiled.page, effort=math.ceil(effort * harder), enough=enough)

    over = choose(compiled, made, slots, lambda pairs: pack(pairs).total, kept.all) if in_place else {}
    found = pack(tuple(over))
    over |= states
    within = 0 if room is None else room // compiled.page * compiled.page
    if room is not None and found.lower_bound <= within < found.total:
        found = pack([pair for pair in over if pair not in states], LAST_EFFORT, within)
    placed = _placed(slots, found, over)
    arena = ArenaRecord(
        total=found.total,
        align=math.lcm(BASE_ALIGN, *(slot.align for slot in placed)),
        page=found.page,
        lower_bound=found.lower_bound,
        slots=placed,
        host_values=tuple(_host_value(compiled.tensors[name]) for name in made.outside),
    )
    return ArenaPlan(arena=arena, steps=_waiting(made, placed), places=made.places, at=made.at)


def _unplaced(compiled: Compiled) -> tuple[Schedule, list[SlotRecord]]:
    made, converts = schedule(compiled), _converts(compiled)
    return made, [_slot(compiled, place, converts.get(place.tensor, ()), len(made.steps)) for place in made.places]


def can_be_ranges(compiled: Compiled) -> bool:
    """Whether every part of a whole may begin and end where it does: nothing is padded or converted, and links may bind that address."""
    _, slots = _unplaced(compiled)
    for slot in (slot for slot in slots if slot.inside is not None):
        assert slot.inside is not None
        whole = slots[slot.inside.slot]
        plain = all(not one.packed_on_cpu and one.device_dtype == one.dtype for one in (slot, whole))
        if not plain or slot.inside.start % slot.align or slot.bytes != slot.packed or whole.inside is not None:
            return False
    return True


def _placed(slots: Sequence[SlotRecord], found: Plan, over: Mapping[Pair, str]) -> tuple[SlotRecord, ...]:
    """The slots at their offsets."""
    joined, lies_in = bodies(slots, over)
    placed = [replace(body, offset=found.offsets[body.name]) for body in joined]
    broken = violations(placed, found.total)
    if broken:
        raise AssertionError(f"the memory plan is wrong: {'; '.join(broken)}")
    records = {pair.result: InPlaceRecord(slot=pair.source, reason=reason) for pair, reason in over.items()}
    starts = [slot.inside.start if slot.inside is not None else 0 for slot in slots]
    return tuple(
        structs.replace(slot, offset=placed[lies_in[k]].offset + starts[k], in_place=records.get(k)) for k, slot in enumerate(slots)
    )


_Convert = tuple[HandoffRecord, bool]
"""A handoff that converts or is in another dtype than the model's, and whether the tensor's writer computes in the dtype it asks for."""


def _slot(compiled: Compiled, place: Place, converts: Iterable[_Convert], steps: int) -> SlotRecord:
    """The slot of a place, at offset 0 as long as it is not placed."""
    tensor = compiled.tensors[place.tensor]
    shape = tuple(dim or 0 for dim in tensor.shape or ())
    device_dtype = _device_dtype(place, tensor, converts)
    needs = _needs(compiled, place)
    layout = compiled.layouts.get(place.device, CHANNELS_FIRST)
    stored = stored_shape(shape, layout)
    row = padded_row(stored, device_dtype, _row_align(compiled, place))
    strides = strides_of(stored, device_dtype, row)
    # the stand-in puts the model's dtype where a device may hold a narrower one
    needed = max(rows(stored) * row, tensor.bytes or 0, 1)
    multiple = math.lcm(*(h.length_multiple for h in place.handoffs), *(need.length_multiple for need in needs))
    return SlotRecord(
        tensor=place.tensor,
        device=place.device,
        aliases=tuple(place.readers),
        dtype=tensor.dtype,
        device_dtype=device_dtype,
        shape=shape,
        strides=in_model_order(strides) if stored != shape else strides,
        packed_on_cpu=row != padded_row(stored, device_dtype, 1) or device_dtype != tensor.dtype or stored != shape,
        offset=0,
        bytes=-(-needed // multiple) * multiple,
        align=math.lcm(BASE_ALIGN, *(h.align for h in place.handoffs), *(need.align for need in needs)),
        lifetime=place.lifetime(steps),
        in_place=None,
        inside=None if place.inside is None or place.view is None else _inside(place.view, place.tensor, place.inside),
    )


def _inside(view: View, tensor: str, whole: int) -> InsideRecord:
    start = view.starts[view.parts.index(tensor)]
    return InsideRecord(slot=whole, start=start, kind="part" if view.joins else "view", operator=view.operator)


def _row_align(compiled: Compiled, place: Place) -> int:
    """Rows are padded only where a device other than onnxruntime's CPU binds them."""
    runtimes = [compiled.runtimes.get(name) for name in (place.device, *place.readers)]
    real = any(runtime is None or runtime.adapter != "ort" for runtime in runtimes)
    return math.lcm(*(h.row_align for h in place.handoffs)) if real else 1


def _needs(compiled: Compiled, place: Place) -> Sequence[Needs]:
    """Of the runtimes that bind the place."""
    runtimes = [compiled.runtimes.get(name) for name in (place.device, *place.readers)]
    return [adapter.needs for r in runtimes if r is not None and (adapter := adapter_for(r.adapter, r.words)) is not None]


def _host_value(tensor: TensorView) -> HostValueRecord:
    reason = "its shape is known only at run time" if tensor.shape is None else f"{tensor.dtype} has no address a runtime could be given"
    return HostValueRecord(tensor=tensor.name, dtype=tensor.dtype, reason=reason)


def rows(shape: tuple[int, ...]) -> int:
    """How many rows (last axis) a tensor has; a scalar is one row."""
    return math.prod(shape[:-1])


def padded_row(shape: tuple[int, ...], dtype: str, row_align: int) -> int:
    """Bytes from one row to the next: [.., 14] in fp16 with 64-byte rows takes 64."""
    packed = ((shape[-1] if shape else 1) * BITS[dtype] + 7) // 8
    return -(-packed // row_align) * row_align


def strides_of(shape: tuple[int, ...], dtype: str, row: int) -> tuple[int, ...]:
    """Byte strides of a tensor whose rows are `row` bytes apart; () for a scalar."""
    if not shape:
        return ()
    strides = [BITS[dtype] // 8, row]
    for extent in reversed(shape[1:-1]):
        strides.append(strides[-1] * extent)
    return tuple(reversed(strides[: len(shape)]))


def in_model_order(strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of N, H, W, C as those of N, C, H, W."""
    batch, row, column, channel = strides
    return batch, channel, row, column


def _converts(compiled: Compiled) -> dict[str, list[_Convert]]:
    produced_in: dict[str, set[str]] = {}
    for segment in compiled.segments:
        for tensor in segment.outputs:
            produced_in.setdefault(tensor, set()).add(segment.compute_dtype)
    found: dict[str, list[_Convert]] = {}
    for handoff in compiled.handoffs:
        if handoff.mode == "convert" or handoff.device_dtype != compiled.tensors[handoff.tensor].dtype:
            at_producer = handoff.device_dtype in produced_in.get(handoff.tensor, ())
            found.setdefault(handoff.tensor, []).append((handoff, at_producer))
    return found


def _device_dtype(place: Place, tensor: TensorView, converts: Iterable[_Convert]) -> str:
    """What is not converted has one dtype on both sides. A convert changes it on the side that computes in it: the writer's place if its
    segment does, else the copy."""
    here = [(handoff, own) for handoff, own in converts if place.device in (handoff.producer, handoff.consumer)]
    kept = [handoff for handoff, _ in here if handoff.mode != "convert"]
    changed = [handoff for handoff, own in here if handoff.mode == "convert" and own == (place.device == handoff.producer)]
    return next((handoff.device_dtype for handoff in (*kept, *changed)), tensor.dtype)


def _waiting(made: Schedule, slots: Sequence[SlotRecord]) -> tuple[StepRecord, ...]:
    """The steps with what they wait for: the last users of the bytes they write; those in turn waited for the users before them."""
    waits: list[set[int]] = [set() for _ in made.steps]
    held: list[tuple[int, int, int]] = []  # (begin, end, slot): bytes and the slot that used them last, in order, disjoint
    for k in sorted((k for k, slot in enumerate(slots) if slot.inside is None), key=lambda k: slots[k].lifetime[0]):
        begin, end = slots[k].offset, slots[k].offset + slots[k].bytes
        low = bisect_right(held, begin, key=lambda item: item[1])
        high = bisect_left(held, end, key=lambda item: item[0])
        for writer in made.places[k].after:
            for _, _, earlier in held[low:high]:
                waits[writer] |= made.places[earlier].users() - {writer}
        rest = [(held[low][0], begin, held[low][2])] if low < high and held[low][0] < begin else []
        more = [(end, held[high - 1][1], held[high - 1][2])] if low < high and held[high - 1][1] > end else []
        held[low:high] = [*rest, (begin, end, k), *more]
    return tuple(structs.replace(step, waits=tuple(sorted(found - set(step.needs)))) for step, found in zip(made.steps, waits, strict=True))
