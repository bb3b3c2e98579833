"""Results over inputs: a smaller arena with the same bits, refused where they cannot be, undone where a runtime differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from random_graphs import models
from slicing import ABSENT, bundle_of, cut
from small_models import parse

from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.bundle.plan_records import InPlaceRecord, Mode, SlotRecord
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.plan.arena import plan_arena
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.check.check_bundle import check_plan

CHAIN = "g (float[64,64] x) => (float[64,64] y) { a = Exp(x) b = Softmax(a) c = Tanh(b) d = Sqrt(c) e = Neg(d) y = Sigmoid(e) }"
X = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
SLOT = 64 * 64 * 4


def chain(tmp_path: Path, devices: tuple[str, ...] = ("cpu", "npu", "cpu"), **more: Any) -> Bundle:
    return bundle_of(cut(parse(CHAIN), devices), tmp_path / "b", **more)


def test_a_chain_takes_the_bytes_of_one_tensor(tmp_path: Path) -> None:
    apart = chain(tmp_path / "apart", in_place=False)
    over = chain(tmp_path / "over")
    assert (apart.manifest.arena.total, over.manifest.arena.total) == (2 * SLOT, SLOT)
    assert over.manifest.arena.lower_bound == SLOT
    records = [slot.in_place for slot in over.manifest.arena.slots]
    assert records[0] is None and [r.slot for r in records[1:] if r is not None] == [0, 1, 2]
    assert records[2] is not None and records[2].reason == "Sqrt writes it after every operator that reads 'b'"


def test_only_what_the_peak_needs_is_in_place(tmp_path: Path) -> None:
    """Where the arena has room for two large tensors, small ones in place would save nothing."""
    text = """g (float[64,64] x) => (float[64,64] y) { a = Transpose (x) b = ReduceMax <keepdims = 1> (a) c = Exp(b) d = Sqrt(c)
        y = Expand(d, s) }"""
    model = parse(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([64, 64]), "s"))
    slots = bundle_of(cut(model, ("cpu", "npu", "cpu", "npu", "cpu")), tmp_path / "b").manifest.arena.slots
    assert over_inputs(slots) == set() and {slot.tensor for slot in slots} == set("xabcdy")


@pytest.mark.parametrize("shared", [False, True])
def test_poisoned_bytes_in_place_and_apart(tmp_path: Path, shared: bool) -> None:
    over, apart = chain(tmp_path / "over"), chain(tmp_path / "apart", in_place=False)
    one, other = over.session(poison=True, shared=shared), apart.session(poison=True)
    for value in (X, -X, X * 1e-30):
        assert one.run({"x": value})["y"].tobytes() == other.run({"x": value})["y"].tobytes()
    for got, value in zip(one.run_many([{"x": X * k} for k in range(6)], pipeline=True), range(6), strict=True):
        assert got["y"].tobytes() == other.run({"x": X * value})["y"].tobytes()
    assert one.notes == () and one.copied == ()


def test_nobody_else_has_results_over_inputs() -> None:
    """A runtime that does not tell what it executes, rows that are padded, an input that is read later or is an output, an overlap lost."""
    absent = cut(parse(CHAIN), ("cpu", "npu", "cpu"), runtimes={"npu": ABSENT})
    assert "d" not in over_inputs(plan_arena(absent).arena.slots)
    padded = cut(parse(CHAIN.replace("64,64", "64,63")), ("cpu", "npu", "cpu"), runtimes={"npu": ABSENT}, row_align=64)
    assert not over_inputs(plan_arena(padded).arena.slots)
    later = "g (float[64,64] x) => (float[64,64] y) { a = Exp(x) y = Max(a, x) }"
    assert "a" not in over_inputs(plan_arena(cut(parse(later), ("cpu", "npu"))).arena.slots)
    kept = "g (float[64,64] x) => (float[64,64] a, float[64,64] y) { a = Exp(x) y = Exp(a) }"
    assert "y" not in over_inputs(plan_arena(cut(parse(kept), ("cpu", "npu"))).arena.slots)
    beside = "g (float[64,64] x) => (float[64,64] y) { a = Exp(x) b = Sqrt(x) y = Max(a, b) }"
    assert not over_inputs(plan_arena(cut(parse(beside), ("cpu", "npu", "cpu"))).arena.slots) & {"a", "b"}


def over_inputs(slots: tuple[SlotRecord, ...]) -> set[str]:
    return {slot.tensor for slot in slots if slot.in_place is not None}


@given(
    models(), st.lists(st.sampled_from(["cpu", "npu", "gpu"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["zero_copy", "copy", "convert"]), min_size=1, max_size=3), st.booleans(), st.sampled_from([1, 64, 4096]),
)  # fmt: skip
@settings(max_examples=60)
def test_the_same_bits_in_a_smaller_arena(
    tmp_path_factory: pytest.TempPathFactory, model: onnx.ModelProto, devices: list[str], modes: list[Mode], absent: bool, align: int
) -> None:
    folder = tmp_path_factory.mktemp("b")
    devices = devices[: len(model.graph.node)]
    while len(devices) > 1 and -(-len(model.graph.node) // len(devices)) * (len(devices) - 1) >= len(model.graph.node):
        devices.pop()
    compiled = cut(
        model, tuple(devices), modes=tuple(modes), runtimes={"npu": ABSENT} if absent else None, align=align, row_align=min(align, 64)
    )
    over, apart = bundle_of(compiled, folder / "over"), bundle_of(compiled, folder / "apart", in_place=False)
    assert over.manifest.arena.total <= apart.manifest.arena.total
    assert over.manifest.arena.lower_bound <= over.manifest.arena.total
    one, other = over.session(emulate=True, poison=True), apart.session(emulate=True, poison=True)
    dice = np.random.default_rng(len(devices))
    for _ in range(2):
        inputs = {v.name: dice.standard_normal(v.shape).astype(np.float32) for v in over.manifest.model.inputs}
        expected = other.run(inputs)
        for name, value in one.run(inputs).items():
            assert value.tobytes() == expected[name].tobytes()
    assert one.notes == ()


def test_a_runtime_of_another_mind_computes_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle was made where the proof held; here it does not."""
    bundle = chain(tmp_path)
    expected = chain(tmp_path / "apart", in_place=False).run({"x": X})["y"]
    monkeypatch.setattr("autoglmc.compiler.run.in_place.proof_of", lambda *_: "")
    session = bundle.session(poison=True)
    assert [note.split(":")[0] for note in session.notes] == [
        f"segment {k} ({device}) computes {tensor} apart and copies them over its inputs"
        for k, device, tensor in ((0, "cpu", "b"), (1, "npu", "d"), (2, "cpu", "y"))
    ]
    assert session.copied == ("0 (cpu)", "1 (npu)", "2 (cpu)")
    for _ in range(2):
        assert session.run({"x": X})["y"].tobytes() == expected.tobytes()
    for got in session.run_many([{"x": X}] * 4, pipeline=True):
        assert got["y"].tobytes() == expected.tobytes()


def test_the_first_run_shows_a_proof_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MatMul over its own input: the first run finds other bits, and the answer stays right."""
    model = parse("g (float[64,64] x) => (float[64,64] y) { a = MatMul(x, w) b = Add(a, c) d = Exp(b) y = MatMul(d, w) }")
    for name in ("w", "c"):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.random.default_rng(1).random((64, 64), np.float32), name))
    expected = bundle_of(cut(model, ("cpu", "npu")), tmp_path / "apart", in_place=False).run({"x": X})["y"]
    for folder in ("plan", "run"):
        monkeypatch.setattr(f"autoglmc.compiler.{folder}.in_place.proof_of", lambda *_: "so it is said")
    session = bundle_of(cut(model, ("cpu", "npu")), tmp_path / "over").session(poison=True)
    assert over_inputs(session.manifest.arena.slots)
    for _ in range(2):
        assert session.run({"x": X})["y"].tobytes() == expected.tobytes()
    assert any("apart: in place it gave other bits" in note for note in session.notes)


def edit(manifest: Manifest, index: int, **changes: Any) -> Manifest:
    slots = list(manifest.arena.slots)
    slots[index] = structs.replace(slots[index], **changes)
    return structs.replace(manifest, arena=structs.replace(manifest.arena, slots=tuple(slots)))


WRONG: list[tuple[Callable[[Manifest], Manifest], str]] = [
    (lambda m: edit(m, 1, in_place=None), "are live together and overlap"),
    (lambda m: edit(m, 1, in_place=InPlaceRecord(slot=9, reason="")), "slot 9 is not one whose bytes"),
    (lambda m: edit(m, 2, in_place=InPlaceRecord(slot=0, reason="")), "slot 0 is not one whose bytes"),
    (lambda m: edit(m, 1, in_place=InPlaceRecord(slot=1, reason="")), "slot 1 is not one whose bytes"),
    (lambda m: edit(m, 1, in_place=InPlaceRecord(slot=3, reason="")), r"in_place: 'b' lives from step 0 on, 'y' is used until step 2"),
    (lambda m: edit(m, 0, lifetime=(0, 1)), "'b' lives from step 0 on, 'x' is used until step 1"),
    (lambda m: edit(m, 1, lifetime=(0, 0)), "'d' lives from step 1 on, 'b' is used until step 0"),
    (lambda m: edit(m, 1, bytes=SLOT + 64), r"slots\[1\] \(b\): ends at 16448, after"),
    (lambda m: edit(m, 1, shape=(64, 32), strides=(128, 4)), "does not lie as"),
    (lambda m: runtime(m, 0, "iree"), "runtime iree does not tell in which order it reads and writes"),
    (lambda m: edit(edit(m, 2, in_place=None, lifetime=(2, 2)), 1, lifetime=(0, 1)), "is not live there"),
]  # fmt: skip


def runtime(manifest: Manifest, index: int, adapter: str) -> Manifest:
    segments = list(manifest.segments)
    segments[index] = structs.replace(segments[index], runtime=structs.replace(segments[index].runtime, adapter=adapter))
    return structs.replace(manifest, segments=tuple(segments))


@pytest.mark.parametrize(("change", "says"), WRONG, ids=[says for _, says in WRONG])
def test_what_cannot_be_is_refused(tmp_path: Path, change: Callable[[Manifest], Manifest], says: str) -> None:
    manifest = chain(tmp_path).manifest
    check_plan(manifest, "here")
    with pytest.raises(BundleError, match=says):
        check_plan(change(manifest), "here")


def test_an_output_of_the_model_is_not_written_over(tmp_path: Path) -> None:
    """As far as lifetimes go, a slot that the last step reads may be taken over by that step."""
    text = "g (float[64,64] x) => (float[64,64] a, float[64,64] y) { a = Exp(x) y = Sqrt(a) }"
    manifest = bundle_of(cut(parse(text), ("cpu", "npu")), tmp_path / "b").manifest
    last = next(k for k, slot in enumerate(manifest.arena.slots) if slot.tensor == "y")
    base = next(k for k, slot in enumerate(manifest.arena.slots) if slot.tensor == "a")
    wrong = edit(manifest, last, offset=manifest.arena.slots[base].offset, in_place=InPlaceRecord(slot=base, reason=""))
    total = max(slot.offset + slot.bytes for slot in wrong.arena.slots)
    wrong = structs.replace(wrong, arena=structs.replace(wrong.arena, total=total, lower_bound=0))
    with pytest.raises(BundleError, match="'a' is an output of the model"):
        check_plan(wrong, "here")
