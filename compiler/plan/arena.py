"""From a compiled model to one arena: a slot for every tensor that crosses a segment boundary, padded as its links ask.

A row is the last axis. A device that wants rows padded to `row_align` bytes gives its tensors the strides of the padded rows. onnxruntime
binds contiguous tensors only: the CPU stand-in uses the packed form at the same base, and the slot keeps the padded bytes reserved.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from ...targets.dtypes import BITS
from ..arena.pack import Buffer, plan
from ..arena.validate import violations
from ..bundle.tensor_spec import TensorSpec
from ..devices.find_adapter import adapter_for
from .schedule import Place, Schedule, Step, schedule
from .segments import Compiled, Handoff

BASE_ALIGN = 64
"""A cache line: no two slots share one, and what onnxruntime's shared-memory allocators insist on."""

LAST_EFFORT = 50
"""Planning effort (under a second) where the first plan does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    tensor: str
    device: str
    """Who writes it; the host for a graph input."""
    aliases: tuple[str, ...]
    """Further devices that bind the same bytes (zero copy)."""
    dtype: str
    """What the bundle's own segments read and write here: the model's dtype."""
    device_dtype: str
    """What a native runtime holds here."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """Bytes, in `device_dtype`, rows padded."""
    packed_on_cpu: bool
    """True where `strides` are padded and the CPU stand-in binds the packed form instead."""
    offset: int
    bytes: int
    """Allocated, padding included."""
    align: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaPlan:
    slots: tuple[Slot, ...]
    steps: tuple[Step, ...]
    waits: tuple[tuple[int, ...], ...]
    """Per step, earlier steps that must have finished because this one writes over bytes they used last."""
    at: Schedule
    total: int
    align: int
    page: int
    lower_bound: int

    @property
    def mapped(self) -> int:
        """Bytes that a process maps: whole pages."""
        return -(-self.total // self.page) * self.page

    def slot_of(self, tensor: str, device: str) -> int | None:
        """Index of the slot that `device` binds for `tensor`; None for a tensor outside the arena."""
        return self.at.at.get((tensor, device))


def plan_arena(compiled: Compiled, *, room: int | None = None, effort: int = 1) -> ArenaPlan:
    """Slots, offsets and steps. `room`: mapped bytes beyond which planning tries harder; whether the plan then keeps the target's
    limits is for `limits.check_limits` to say, which knows what else takes memory."""
    steps = schedule(compiled)
    converts = _converts(compiled)
    sizes = [_Size.of(compiled, place, converts.get(place.tensor, ())) for place in steps.places]
    buffers = [
        Buffer(f"{i}:{place.tensor}", size.bytes, size.align, place.first, place.last)
        for i, (place, size) in enumerate(zip(steps.places, sizes, strict=True))
    ]
    found = plan(buffers, page=compiled.page, effort=effort)
    if room is not None and found.mapped > room:
        found = plan(buffers, page=compiled.page, effort=max(effort, LAST_EFFORT))
    broken = violations(buffers, found.offsets, found.total)
    if broken:
        raise AssertionError(f"the memory plan is wrong: {'; '.join(broken)}")
    slots = tuple(_slot(compiled, p, s, found.offsets[b.name]) for p, s, b in zip(steps.places, sizes, buffers, strict=True))
    return ArenaPlan(
        slots=slots,
        steps=steps.steps,
        waits=_waits(steps, slots),
        at=steps,
        total=found.total,
        align=math.lcm(BASE_ALIGN, *(slot.align for slot in slots)),
        page=found.page,
        lower_bound=found.lower_bound,
    )


@dataclass(frozen=True, slots=True)
class _Size:
    row: int
    """Bytes from one row to the next."""
    bytes: int
    align: int
    device_dtype: str

    @staticmethod
    def of(compiled: Compiled, place: Place, converts: Iterable[_Convert]) -> _Size:
        spec = compiled.tensors[place.tensor]
        assert spec.shape is not None
        device_dtype = _device_dtype(place, spec, converts)
        runtimes = [compiled.runtimes.get(name) for name in (place.device, *place.readers)]
        real = any(runtime is None or runtime.adapter != "ort" for runtime in runtimes)
        row_align = math.lcm(*(h.row_align for h in place.handoffs)) if real else 1
        needs = [adapter.needs for r in runtimes if r is not None and (adapter := adapter_for(r.adapter, r.words)) is not None]
        multiple = math.lcm(*(h.length_multiple for h in place.handoffs), *(need.length_multiple for need in needs))
        row = padded_row(spec.shape, device_dtype, row_align)
        # the stand-in puts the model's dtype where a device may hold a narrower one
        needed = max(rows(spec.shape) * row, spec.bytes or 0, 1)
        align = math.lcm(BASE_ALIGN, *(h.align for h in place.handoffs), *(need.align for need in needs))
        return _Size(row, -(-needed // multiple) * multiple, align, device_dtype)


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


_Convert = tuple[Handoff, bool]
"""A handoff that converts, and whether the tensor's writer computes in the dtype it asks for."""


def _converts(compiled: Compiled) -> dict[str, list[_Convert]]:
    produced_in: dict[str, set[str]] = {}
    for segment in compiled.segments:
        for tensor in segment.outputs:
            produced_in.setdefault(tensor, set()).add(segment.compute_dtype)
    found: dict[str, list[_Convert]] = {}
    for handoff in compiled.handoffs:
        if handoff.mode == "convert":
            at_producer = handoff.device_dtype in produced_in.get(handoff.tensor, ())
            found.setdefault(handoff.tensor, []).append((handoff, at_producer))
    return found


def _device_dtype(place: Place, spec: TensorSpec, converts: Iterable[_Convert]) -> str:
    """A convert changes the dtype on the side that computes in it: the writer's place if its segment does, else the copy."""
    for handoff, at_producer in converts:
        if at_producer == (place.device == handoff.producer) and place.device in (handoff.producer, handoff.consumer):
            return handoff.device_dtype
    return spec.dtype


def _slot(compiled: Compiled, place: Place, size: _Size, offset: int) -> Slot:
    spec = compiled.tensors[place.tensor]
    assert spec.shape is not None
    packed = padded_row(spec.shape, size.device_dtype, 1)
    return Slot(
        tensor=place.tensor,
        device=place.device,
        aliases=place.readers,
        dtype=spec.dtype,
        device_dtype=size.device_dtype,
        shape=spec.shape,
        strides=strides_of(spec.shape, size.device_dtype, size.row),
        packed_on_cpu=size.row != packed or size.device_dtype != spec.dtype,
        offset=offset,
        bytes=size.bytes,
        align=size.align,
        first=place.first,
        last=place.last,
    )


def _waits(steps: Schedule, slots: tuple[Slot, ...]) -> tuple[tuple[int, ...], ...]:
    """Per step, whoever used its bytes last: they in turn waited for who used the same bytes before them."""
    waits: list[set[int]] = [set() for _ in steps.steps]
    held: list[tuple[int, int, int]] = []  # (begin, end, place) of bytes by who used them last, in order, disjoint
    for k in sorted(range(len(slots)), key=lambda k: slots[k].first):
        begin, end, writer = slots[k].offset, slots[k].offset + slots[k].bytes, steps.places[k].writer
        low = bisect_right(held, begin, key=lambda item: item[1])
        high = bisect_left(held, end, key=lambda item: item[0])
        if writer is not None:
            for _, _, earlier in held[low:high]:
                waits[writer].update(_users(steps.places[earlier]))
        rest = [(held[low][0], begin, held[low][2])] if low < high and held[low][0] < begin else []
        more = [(end, held[high - 1][1], held[high - 1][2])] if low < high and held[high - 1][1] > end else []
        held[low:high] = [*rest, (begin, end, k), *more]
    return tuple(tuple(sorted(found - set(step.needs))) for found, step in zip(waits, steps.steps, strict=True))


def _users(place: Place) -> Iterable[int]:
    return place.reads if place.writer is None else (*place.reads, place.writer)
