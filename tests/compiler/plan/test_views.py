"""Operators at borders that places stand for: not run, not copied, the same bits in no larger an arena."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from onnx import numpy_helper
from slicing import ABSENT, bundle_of, cut
from small_models import parse, save

import autoglmc
from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.bundle.plan_records import Mode
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.check.check_bundle import check_plan
from autoglmc.compiler.run.outputs import Outputs
from autoglmc.compiler.run.session import Session

INTS = {"s16": [16, 16], "s4": [4, 64], "zero": [0], "four": [4], "two": [2], "last": [-4], "end": [1 << 40], "one": [1], "parts": [4, 4]}


def model_of(text: str) -> onnx.ModelProto:
    model = parse(text)
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(v), name) for name, v in INTS.items() if name in read)
    return model


CASES = {
    "split at the end": (
        "g (float[8,64] x) => (float[4,64] y, float[4,64] z) { a = Exp(x) b = Softmax(a) y, z = Split <axis = 0> (b, parts) }",
        ("npu",), {"y": ("b", 0), "z": ("b", 1024)},
    ),
    "split between two": (
        """g (float[1,8,64] x) => (float[1,4,64] y, float[1,4,64] z) { a = Softmax(x) b, c = Split <axis = 1> (a, parts) y = Softmax(b)
        z = Softmax(c) }""", ("npu", "cpu"), {"b": ("a", 0), "c": ("a", 1024)},
    ),
    "split of an input": (
        "g (float[8,64] x) => (float[4,64] y, float[4,64] z) { b, c = Split <axis = 0> (x, parts) y = Softmax(b) z = Softmax(c) }",
        ("cpu",), {"b": ("x", 0), "c": ("x", 1024)},
    ),
    "slice of an input": (
        "g (float[8,64] x) => (float[4,64] y) { b = Slice(x, last, end, zero, one) y = Softmax(b) }", ("npu",), {"b": ("x", 1024)},
    ),
    "slice of a result": (
        "g (float[8,64] x) => (float[8,64] b, float[4,64] y) { a = Softmax(x) b = Max(a, x) y = Slice(b, zero, four, zero) }",
        ("cpu",), {"y": ("b", 0)},
    ),
    "concat at the end": (
        "g (float[4,64] x) => (float[8,64] y) { a = Softmax(x) b = Exp(a) y = Concat <axis = 0> (b, a) }",
        ("npu",), {"b": ("y", 0), "a": ("y", 1024)},
    ),
    "concat of segments": (
        """g (float[4,64] x, float[1,64] z) => (float[5,64] y) { a = Softmax(x) b = Exp(a) c = Concat <axis = 0> (b, z) y = Softmax(c) }""",
        ("npu", "cpu"), {"b": ("c", 0), "z": ("c", 1024)},
    ),
    "reshape of an output": (
        "g (float[4,64] x) => (float[4,64] a, float[16,16] y) { a = Softmax(x) y = Reshape(a, s16) }", ("cpu",), {"y": ("a", 0)},
    ),
    "input to output": (
        "g (float[4,64] x) => (float[16,16] y, float[4,64] z) { y = Reshape(x, s16) z = Softmax(x) }", ("cpu",), {"y": ("x", 0)},
    ),
}  # fmt: skip


def inside(bundle: Bundle) -> dict[str, tuple[str, int]]:
    slots = bundle.manifest.arena.slots
    return {slot.tensor: (slots[slot.inside.slot].tensor, slot.inside.start) for slot in slots if slot.inside is not None}


def kinds(bundle: Bundle) -> set[str]:
    return {node["operator"] for _, node in bundle.graph().nodes(data=True) if node["kind"] == "operator"}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("absent", [False, True])
def test_each_kind(tmp_path: Path, case: str, absent: bool) -> None:
    text, devices, wanted = CASES[case]
    compiled = cut(model_of(text), devices, runtimes={"npu": ABSENT} if absent else None)
    with_them, without = bundle_of(compiled, tmp_path / "with"), bundle_of(compiled, tmp_path / "without", views=True)
    assert inside(without) == wanted and not inside(with_them)
    assert kinds(with_them) - kinds(without) == {case.split()[0].capitalize()} - {"Input"} | (
        {"Reshape"} if case.startswith("input") else set()
    )
    assert without.manifest.arena.total <= with_them.manifest.arena.total
    same_bits(with_them, without)


def same_bits(one: Bundle, other: Bundle) -> None:
    dice = np.random.default_rng(0)
    first, second = one.session(emulate=True, poison=True), other.session(emulate=True, poison=True)
    for _ in range(2):
        inputs = {v.name: dice.standard_normal(v.shape).astype(np.float32) for v in one.manifest.model.inputs}
        (expected, shown), (got, again) = watched(first, inputs), watched(second, inputs)
        assert got.keys() == expected.keys()
        for name, value in got.items():
            assert value.tobytes() == expected[name].tobytes(), name
        assert all(again[name] == value for name, value in shown.items() if name in again)
        of_inputs = {name for name, (whole, _) in inside(other).items() if whole in inputs}
        assert {v.name for v in one.manifest.model.outputs} - of_inputs <= again.keys()
    for got, wanted in zip(second.run_many([inputs] * 3, pipeline=True), [expected] * 3, strict=True):
        assert all(value.tobytes() == wanted[name].tobytes() for name, value in got.items())


def watched(session: Session, inputs: dict[str, np.ndarray]) -> tuple[Outputs, dict[str, bytes]]:
    shown: dict[str, bytes] = {}
    return session.run(inputs, lambda tensor, device, value: shown.update({tensor: value.tobytes()})), shown


@pytest.mark.parametrize(
    "text",
    [
        "g (float[8,64] x) => (float[8,32] y, float[8,32] z) { a = Softmax(x) y, z = Split <axis = 1, num_outputs = 2> (a) }",
        "g (float[8,3] x) => (float[4,3] y, float[4,3] z) { a = Softmax(x) y, z = Split <axis = 0> (a, parts) }",
        "g (float[8,64] x) => (float[2,64] y) { a = Softmax(x) y = Slice(a, zero, four, zero, two) }",
        "g (float[4,64] x) => (float[8,64] y) { a = Softmax(x) y = Concat <axis = 0> (a, a) }",
        "g (float[4,64] x) => (float[8,64] y, float[4,64] a) { a = Softmax(x) b = Exp(a) y = Concat <axis = 0> (a, b) }",
        "g (float[4,64] x) => (float[8,64] y, float[8,64] z) { a = Softmax(x) b = Exp(a) y = Concat <axis = 0> (a, b) z = Exp(y) }",
        "g (float[4,64] x) => (float[16,16] y) { a = Softmax(x) y = Reshape(a, s16) }",
    ],
    ids=["inner axis", "unaligned", "every second", "twice", "also an output", "read inside", "inner operand"],
)
def test_what_stays(tmp_path: Path, text: str) -> None:
    assert not inside(bundle_of(cut(model_of(text), ("cpu",)), tmp_path / "b", views=True))


def test_padded_rows_and_far_links_stay(tmp_path: Path) -> None:
    text, devices, _ = CASES["split between two"]
    for k, more in enumerate(({"row_align": 512}, {"align": 4096}, {"length_multiple": 4096})):
        compiled = cut(model_of(text), devices, runtimes={"npu": ABSENT}, **more)  # type: ignore[arg-type]
        bundle = bundle_of(compiled, tmp_path / f"{k}", views=True)
        assert not inside(bundle)


MODES = st.lists(st.sampled_from(["zero_copy", "copy", "convert"]), min_size=1, max_size=3)


@st.composite
def joined_models(draw: st.DrawFn) -> onnx.ModelProto:
    """Rows of 64 floats, cut and joined and computed with: every tensor is [n, 64]."""
    values, nodes, rows = ["x"], [], {"x": 8}
    outputs: set[str] = set()
    for number in range(draw(st.integers(2, 9))):
        name, source = f"t{number}", draw(st.sampled_from(values[-4:]))
        kind = draw(st.sampled_from(["Softmax", "Exp", "Split", "Slice", "Concat", "Identity", "Neg"]))
        if kind == "Split" and rows[source] > 1:
            cut_at = draw(st.integers(1, rows[source] - 1))
            nodes.append(f"{name}, {name}b = Split <axis = 0> ({source}, p{cut_at}_{rows[source] - cut_at})")
            rows |= {name: cut_at, f"{name}b": rows[source] - cut_at}
            values.append(f"{name}b")
        elif kind == "Slice" and rows[source] > 1:
            nodes.append(f"{name} = Slice({source}, one, end, zero)")
            rows[name] = rows[source] - 1
        elif kind == "Concat":
            other = draw(st.sampled_from(values))
            nodes.append(f"{name} = Concat <axis = 0> ({source}, {other})")
            rows[name] = rows[source] + rows[other]
        else:
            nodes.append(f"{name} = {kind if kind in ('Softmax', 'Exp', 'Neg', 'Identity') else 'Exp'}({source})")
            rows[name] = rows[source]
        values.append(name)
        outputs |= {name} if draw(st.integers(0, 3)) == 0 else set()
    made = parse(f"g (float[8,64] x) => (float[1,64] none) {{ {' '.join(nodes)} }}")
    read = {name for node in made.graph.node for name in node.input}
    del made.graph.output[:]
    for name in values[1:]:
        if name not in read or name in outputs:
            made.graph.output.append(onnx.helper.make_tensor_value_info(name, 1, [rows[name], 64]))
    for name in sorted(read - set(values)):
        value = INTS.get(name) or [int(part) for part in name[1:].split("_")]
        made.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    if "x" not in read:
        del made.graph.input[:]
    return made


@given(joined_models(), st.lists(st.sampled_from(["cpu", "npu", "gpu"]), min_size=1, max_size=4), MODES, st.sampled_from([64, 256]))
@settings(max_examples=examples(50, 120))
def test_random_cuts_and_joins(
    tmp_path_factory: pytest.TempPathFactory, model: onnx.ModelProto, devices: list[str], modes: list[Mode], align: int
) -> None:
    folder = tmp_path_factory.mktemp("b")
    count = len(model.graph.node)
    while -(-count // len(devices)) * (len(devices) - 1) >= count:
        devices.pop()
    compiled = cut(model, tuple(devices), modes=tuple(modes), runtimes={"npu": ABSENT}, align=align)
    one, other = bundle_of(compiled, folder / "with", in_place=False), bundle_of(compiled, folder / "without", views=True)
    assert other.manifest.arena.total <= one.manifest.arena.total
    same_bits(one, other)


def edit(manifest: Manifest, tensor: str, **changes: Any) -> Manifest:
    slots = [structs.replace(slot, **changes) if slot.tensor == tensor else slot for slot in manifest.arena.slots]
    return structs.replace(manifest, arena=structs.replace(manifest.arena, slots=tuple(slots)))


def moved(manifest: Manifest, tensor: str, **changes: Any) -> Manifest:
    (inside,) = (slot.inside for slot in manifest.arena.slots if slot.tensor == tensor)
    return edit(manifest, tensor, inside=structs.replace(inside, **changes))


def swapped(manifest: Manifest, one: str, other: str) -> Manifest:
    """Two slots of a size exchange the bytes they lie in, offsets and records alike: only what they are ranges of tells."""
    at = {slot.tensor: slot for slot in manifest.arena.slots}
    for name, source in ((one, at[other]), (other, at[one])):
        manifest = edit(manifest, name, offset=source.offset)
    return manifest


SPLIT, JOIN = "split between two", "concat of segments"
WRONG: list[tuple[str, Callable[[Manifest], Manifest], str]] = [
    (SPLIT, lambda m: edit(m, "b", inside=None), "are live together and overlap"),
    (SPLIT, lambda m: moved(m, "b", start=64), "is not 64 bytes into 'a', or ends after it"),
    (SPLIT, lambda m: moved(m, "c", slot=99), "slot 99 is not one with bytes of its own"),
    (SPLIT, lambda m: moved(m, "c", slot=2), "slot 2 is not one with bytes of its own"),
    (SPLIT, lambda m: moved(m, "c", kind="part"), "has views and parts"),
    (SPLIT, lambda m: moved(moved(m, "c", kind="part"), "b", kind="part"), "is written already"),
    (SPLIT, lambda m: swapped(m, "b", "c"), "bytes into 'a', or ends after it"),
    (SPLIT, lambda m: edit(m, "a", lifetime=(0, 0)), "lives in steps .*, 'a' in"),
    (JOIN, lambda m: moved(m, "z", kind="view"), "has views and parts"),
    (JOIN, lambda m: edit(m, "z", inside=None), "are live together and overlap|leave a gap|end at 1024 of 1280 bytes"),
    (JOIN, lambda m: edit(moved(m, "z", start=0), "z", offset=0), "overlap at byte|bytes into 'c'"),
    (JOIN, lambda m: edit(m, "z", lifetime=(1, 1)), "must lie on cpu from step 0 on"),
    (JOIN, lambda m: without_waits(m), "waits: it writes|needs is"),
]  # fmt: skip


def without_waits(manifest: Manifest) -> Manifest:
    return structs.replace(manifest, schedule=tuple(structs.replace(step, waits=(), needs=()) for step in manifest.schedule))


@pytest.mark.parametrize(("case", "change", "says"), WRONG, ids=[f"{case}: {says}" for case, _, says in WRONG])
def test_what_cannot_be_is_refused(tmp_path: Path, case: str, change: Callable[[Manifest], Manifest], says: str) -> None:
    text, devices, _ = CASES[case]
    bundle = bundle_of(cut(model_of(text), devices), tmp_path / "b", views=True)
    check_plan(bundle.manifest, "here")
    with pytest.raises(BundleError, match=says):
        check_plan(change(bundle.manifest), "here")


def test_costs_are_those_of_what_runs(tmp_path: Path) -> None:
    """A plan's seconds and its segment's are without the Concat, whose bytes are counted nowhere."""
    text = "g (float[256,1024] x) => (float[512,1024] y) { a = Softmax(x) b = Exp(a) y = Concat <axis = 0> (b, a) }"
    for target, least in (("x86_cpu", 0.02), ("a16", 0.02)):
        path = save(model_of(text), tmp_path)
        result = autoglmc.compile_model(path, target, output=tmp_path / target, verify=False, emulate=True)
        if not inside(result.bundle):
            continue
        price = result.work.placement.solution.price.total
        assert result.predicted.latency < price * (1 - least)
        saved = sum(s.seconds for s in result.work.segments) - sum(s.predicted_seconds for s in result.manifest.segments)
        assert result.predicted.latency == pytest.approx(price - saved)
        assert result.as_json()["latency"]["predicted"] == result.predicted.latency
    assert inside(autoglmc.Bundle.load(tmp_path / "x86_cpu")) == {"b": ("y", 0), "a": ("y", 256 * 4096)}
