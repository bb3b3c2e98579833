"""Slots, steps and padding of whole compiled models."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slicing import ABSENT, ORT, cut, segment
from small_models import parse

from autoglmc.compiler.arena.pack import Buffer, Plan, plan
from autoglmc.compiler.bundle.plan_records import HandoffRecord, Mode
from autoglmc.compiler.plan.arena import FIRST_EFFORT, LAST_EFFORT, ArenaPlan, padded_row, plan_arena, rows, strides_of
from autoglmc.compiler.plan.segments import Compiled
from autoglmc.targets.operator_view import TensorView

CHAIN = """g (float[4,6] x) => (float[4,6] y, float[4,6] z) {
    a = Relu(x) b = Abs(a) c = Add(a, b) d = Mul(c, x) y = Neg(d) e = Sigmoid(d) f = Add(e, a) z = Tanh(f) }"""


def link(
    tensor: str, producer: str, consumer: str, mode: Mode = "zero_copy", row_align: int = 1, device_dtype: str = "fp32"
) -> HandoffRecord:
    return HandoffRecord(
        tensor=tensor, producer=producer, consumer=consumer, mode=mode, mechanism="shared", align=64, row_align=row_align,
        length_multiple=1,
        bytes=0, seconds=0.0, origin="box.hw:1", fallback="copy", fallback_seconds=0.0, device_dtype=device_dtype, query_at_runtime=(),
    )  # fmt: skip


def tensor(name: str, dtype: str, shape: tuple[int, ...] | None) -> TensorView:
    return TensorView(name, dtype, shape, False)


def compiled(spec: TensorView, *links: HandoffRecord, compute: str = "fp32") -> Compiled:
    """x on the cpu -> npu -> y on the cpu, both of one spec."""
    one = segment(0, "npu", onnx.ModelProto(), ("x",), ("y",), compute)
    tensors = {name: replace(spec, name=name) for name in ("x", "y")}
    return Compiled(
        segments=(one,), tensors=tensors, handoffs=links, graph_inputs=("x",), graph_outputs=("y",), host="cpu",
        runtimes={"cpu": ORT, "npu": ABSENT},
    )  # fmt: skip


def test_padding_is_counted() -> None:
    """[1,256,14,14] in fp16 with rows of 64 bytes: 229,376 bytes against 100,352 packed."""
    shape = (1, 256, 14, 14)
    links = (link(name, *ends, row_align=64, device_dtype="fp16") for name, ends in (("x", ("cpu", "npu")), ("y", ("npu", "cpu"))))
    arena = plan_arena(compiled(tensor("x", "fp16", shape), *links))
    assert [(s.bytes, s.strides, s.packed_on_cpu) for s in arena.arena.slots] == [(229376, (229376, 896, 64, 2), True)] * 2
    assert arena.arena.total == arena.arena.lower_bound == 2 * 229376


def test_packed_where_every_device_is_onnxruntime() -> None:
    model = cut(parse(CHAIN), ("cpu", "big"), row_align=64, length_multiple=256)
    arena = plan_arena(model)
    assert all(slot.strides == (24, 4) and not slot.packed_on_cpu for slot in arena.arena.slots)
    padded = plan_arena(cut(parse(CHAIN), ("cpu", "big"), row_align=64, length_multiple=256, runtimes={"big": ABSENT}))
    assert {slot.strides for slot in padded.arena.slots if "big" in (slot.device, *slot.aliases)} == {(64, 4)}


@pytest.mark.parametrize(
    ("shape", "dtype", "row", "strides"),
    [((), "fp32", 64, ()), ((5,), "fp16", 64, (2,)), ((3, 5), "fp32", 64, (64, 4)), ((2, 3, 5), "int64", 64, (192, 64, 8))],
)
def test_strides(shape: tuple[int, ...], dtype: str, row: int, strides: tuple[int, ...]) -> None:
    assert padded_row(shape, dtype, 64) == row
    assert strides_of(shape, dtype, row) == strides


def test_a_copy_has_two_slots_and_a_step_between() -> None:
    arena = plan_arena(compiled(tensor("x", "fp32", (8,)), link("x", "cpu", "npu", "copy"), link("y", "npu", "cpu", "convert")))
    assert [(step.kind, step.segment, step.source, step.destination) for step in arena.steps] == [
        ("copy", None, 0, 1), ("run", 0, None, None), ("convert", None, 2, 3),
    ]  # fmt: skip
    assert [(s.tensor, s.device, *s.lifetime) for s in arena.arena.slots] == [
        ("x", "cpu", 0, 0), ("x", "npu", 0, 1), ("y", "npu", 1, 2), ("y", "cpu", 2, 2),
    ]  # fmt: skip
    assert [step.needs for step in arena.steps] == [(), (0,), (1,)]
    assert [step.waits for step in arena.steps] == [(), (), (0,)]  # the output's slot lies where x was


def test_zero_copy_is_one_slot_that_both_sides_bind() -> None:
    arena = plan_arena(compiled(tensor("x", "fp32", (8,)), link("x", "cpu", "npu"), link("y", "npu", "cpu")))
    assert [(s.tensor, s.device, s.aliases) for s in arena.arena.slots] == [("x", "cpu", ("npu",)), ("y", "npu", ("cpu",))]
    assert arena.slot_of("x", "cpu") == arena.slot_of("x", "npu") == 0
    assert [step.kind for step in arena.steps] == ["run"]


def test_a_convert_names_the_dtype_of_the_side_that_computes_in_it() -> None:
    links = link("x", "cpu", "npu", "convert", device_dtype="fp16"), link("y", "npu", "cpu", "convert", device_dtype="fp16")
    arena = plan_arena(compiled(tensor("x", "fp32", (8,)), *links, compute="fp16"))
    assert [(s.tensor, s.device, s.dtype, s.device_dtype) for s in arena.arena.slots] == [
        ("x", "cpu", "fp32", "fp32"), ("x", "npu", "fp32", "fp16"), ("y", "npu", "fp32", "fp16"), ("y", "cpu", "fp32", "fp32"),
    ]  # fmt: skip
    assert {slot.bytes for slot in arena.arena.slots} == {32}  # the stand-in puts fp32 there


def test_a_chain_of_links_passes_every_device_on_it() -> None:
    links = link("x", "cpu", "gpu", "copy"), link("x", "gpu", "npu"), link("y", "npu", "cpu")
    arena = plan_arena(compiled(tensor("x", "fp32", (8,)), *links))
    assert [(s.tensor, s.device, s.aliases) for s in arena.arena.slots] == [
        ("x", "cpu", ()),
        ("x", "gpu", ("npu",)),
        ("y", "npu", ("cpu",)),
    ]


def test_where_there_is_too_little_room_planning_tries_harder() -> None:
    """The first plan has a hole. Another one is looked for where the lower bound fits the room, and the room is enough."""
    asked: list[tuple[int, int]] = []

    def watched(buffers: Sequence[Buffer], *, page: int, effort: int, enough: int = 0) -> Plan:
        asked.append((effort, enough))
        found = plan(buffers, page=page, effort=effort, enough=enough)
        top = buffers[-1].name
        return found if enough else replace(found, offsets={**found.offsets, top: 32768}, total=49152)

    def mapped(room: int, effort: float = 1.0) -> int:
        return plan_arena(compiled(spec, *links), room=room, effort=effort).arena.mapped

    links = link("x", "cpu", "npu"), link("y", "npu", "cpu")
    spec = tensor("x", "fp32", (4096,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autoglmc.compiler.plan.states.plan", watched)
        assert [mapped(49152), mapped(32767), mapped(-1)] == [49152] * 3
        assert asked == [(FIRST_EFFORT, 0)] * 3
        asked.clear()
        assert [mapped(32768), mapped(36863, effort=2.5)] == [32768] * 2
    assert asked == [(FIRST_EFFORT, 0), (LAST_EFFORT, 32768), (math.ceil(2.5 * FIRST_EFFORT), 0), (math.ceil(2.5 * LAST_EFFORT), 32768)]


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ((), "'x' goes from 'cpu' to 'npu' without a handoff"),
        ((link("x", "gpu", "npu"), link("x", "npu", "gpu"), link("y", "npu", "cpu")), "without a handoff"),
        ((link("x", "cpu", "npu"), link("x", "cpu", "npu"), link("y", "npu", "cpu")), "two handoffs"),
    ],
)
def test_a_broken_contract_is_told(links: tuple[HandoffRecord, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plan_arena(compiled(tensor("x", "fp32", (8,)), *links))


def test_strings_and_unknown_shapes_stay_outside() -> None:
    links = link("x", "cpu", "npu"), link("y", "npu", "cpu")
    for dtype, shape in (("string", (2,)), ("fp32", None), ("sequence", None), ("int4", (2,))):
        arena = plan_arena(compiled(tensor("x", dtype, shape), *links))
        assert (arena.arena.slots, tuple(value.tensor for value in arena.arena.host_values), arena.arena.total) == ((), ("x", "y"), 0)


MODES = st.lists(st.sampled_from(["zero_copy", "copy", "convert"]), min_size=1, max_size=4)
DEVICES = st.lists(st.sampled_from(["cpu", "npu", "gpu"]), min_size=1, max_size=6)


@given(DEVICES, MODES, st.sampled_from([1, 64, 96]), st.sampled_from([1, 64, 4096]))
def test_every_step_finds_its_slots_alive_and_apart(devices: list[str], modes: list[Mode], row_align: int, align: int) -> None:
    model = cut(
        parse(CHAIN), tuple(devices), modes=tuple(modes), runtimes={"npu": ABSENT, "gpu": ABSENT},
        row_align=row_align, align=align, length_multiple=align,
    )  # fmt: skip
    arena = plan_arena(model)
    check_by_playing(model, arena)
    check_any_order(arena)
    for slot in arena.arena.slots:
        assert slot.offset % align == 0 if slot.aliases else slot.offset % 64 == 0
        assert slot.bytes >= 96
        if slot.aliases:
            assert slot.bytes >= rows(slot.shape) * row_align and slot.bytes % align == 0 and slot.strides[0] % row_align == 0


def check_by_playing(model: Compiled, arena: ArenaPlan) -> None:
    """Every byte remembers which tensor was written last; every read must find its own tensor in all of its bytes."""
    owner = [""] * math.ceil(arena.arena.total / 32)

    def cells(slot: int) -> range:
        s = arena.arena.slots[slot]
        return range(s.offset // 32, math.ceil((s.offset + s.bytes) / 32))

    def write(slot: int) -> None:
        for cell in cells(slot):
            owner[cell] = arena.arena.slots[slot].tensor

    def read(slot: int) -> None:
        assert {owner[cell] for cell in cells(slot)} == {arena.arena.slots[slot].tensor}

    def slot(tensor: str, device: str) -> int:
        found = arena.slot_of(tensor, device)
        assert found is not None
        return found

    for name in model.graph_inputs:
        write(slot(name, "cpu"))
    for step in arena.steps:
        if step.segment is None:
            assert step.source is not None and step.destination is not None
            write(step.destination)
            read(step.source)
            continue
        part = model.segments[step.segment]
        outputs = [slot(name, part.device) for name in part.outputs]
        over = [arena.arena.slots[k].in_place is not None for k in outputs]
        for number in itertools.compress(outputs, [not place for place in over]):
            write(number)
        for name in part.inputs:  # after the writes: an output over an input would show, but for one that may lie there
            read(slot(name, part.device))
        for number in itertools.compress(outputs, over):
            write(number)
    for name in model.graph_outputs:
        read(slot(name, "cpu"))


def check_any_order(arena: ArenaPlan) -> None:
    """Steps may run in any order that `needs` and `waits` allow: whoever writes over bytes comes after all who used them, and only they
    are waited for."""
    before: list[set[int]] = []
    for step in arena.steps:
        direct = {*step.needs, *step.waits}
        before.append(direct.union(*(before[i] for i in direct)))
    for place, slot in zip(arena.places, arena.arena.slots, strict=True):
        if place.writer is None:
            continue
        used: set[int] = set()
        for other, earlier in zip(arena.places, arena.arena.slots, strict=True):
            apart = earlier.offset + earlier.bytes <= slot.offset or slot.offset + slot.bytes <= earlier.offset
            if earlier.lifetime[1] < slot.lifetime[0] and not apart:
                used |= {*other.reads} | ({other.writer} if other.writer is not None else set())
        if slot.in_place is not None:
            used |= {*arena.places[slot.in_place.slot].reads} - {place.writer}
        assert used <= before[place.writer]
        own = {i for i, other in enumerate(arena.places) if other.writer == place.writer}
        if len(own) == 1:
            assert set(arena.steps[place.writer].waits) <= used
