"""The manifest and its schema, and that a bundle which does not fit itself is refused by name before anything of it runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from onnx import numpy_helper
from slicing import ABSENT, bundle_of, cut
from small_models import parse

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.canonical_json import canonical
from autoglmc.compiler.bundle.manifest import FORMAT, BoundRecord
from autoglmc.compiler.bundle.manifest_json import from_json, read_manifest, to_json
from autoglmc.compiler.bundle.plan_records import SlotRecord, ValueRecord
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.check.check_arena import first_overlap
from autoglmc.compiler.run.check.check_bundle import check_plan

MODEL = "g (float[4,32] x) => (float[4,32] y) { a = MatMul(x, w) b = Relu(a) c = Abs(b) y = Tanh(c) }"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = parse(MODEL)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((32, 32), np.float32), "w"))
    compiled = cut(model, ("npu", "cpu"), modes=("copy", "zero_copy"), runtimes={"npu": ABSENT})
    return bundle_of(compiled, tmp_path_factory.mktemp("good") / "b").folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A bundle to spoil."""
    return Path(shutil.copytree(good, tmp_path / "b"))


def spoil(folder: Path, change: Callable[[Any], None]) -> None:
    data = json.loads((folder / "manifest.json").read_text())
    change(data)
    (folder / "manifest.json").write_text(json.dumps(data))


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as failure:
        Bundle.load(folder)
    return str(failure.value)


def test_text_and_back(good: Path) -> None:
    text = (good / "manifest.json").read_text(encoding="utf-8")
    manifest = from_json(text, "here")
    assert to_json(manifest) == text
    assert read_manifest(good) == manifest
    assert text == canonical(json.loads(text))
    assert isinstance(manifest.schedule[0].needs, tuple) and isinstance(manifest.files, dict)


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False), st.one_of(st.none(), st.integers(0, 2**62)))
def test_any_text_and_number_survives(good: Path, text: str, number: float, slot: int | None) -> None:
    manifest = read_manifest(good)
    bounds = (BoundRecord(rule=text, site=text, bound=number, over=text),)
    values = (*manifest.model.inputs, ValueRecord(name=text, dtype=text, shape=None, slot=slot))
    changed = structs.replace(
        manifest,
        errors=structs.replace(manifest.errors, bounds=bounds),
        model=structs.replace(manifest.model, inputs=values),
    )
    assert from_json(to_json(changed), "here") == changed


def test_a_good_bundle_loads(good: Path) -> None:
    assert Bundle.load(str(good)).manifest.target.name == "box"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{1", "not JSON: object keys must be strings (line 1, column 2)"),
        ("[1,", "not an autoglmc bundle"),
        ("[" * 100_000, "not an autoglmc bundle"),
        ('{"a": ' + "[" * 100_000, "not JSON: nested too deeply"),
        ('{\n "a": {}', "not JSON: the file ends too early"),
        ("[]", "not an autoglmc bundle"),
        ('{"tool": NaN}', "NaN is not a JSON number (line 1, column 10)"),
        ('{"tool":\n -Infinity}', "Infinity is not a JSON number (line 2, column 3)"),
        ('{"tool": "\\ud800 and more"}', "half a surrogate pair (line 1, column 17)"),
        ('{"tool": "\\udc00 x"}', "half a surrogate pair"),
        ('{"tool": ' + "9" * 5000 + "}", "not an autoglmc bundle"),
        ('{"tool": {"name": "autoglmc", "version": {"9": [1]}, "format": [' + "1," * 500 + "1]}}", "has format '...', written by"),
        ('{"tool": {"name": "make"}}', "tool.name is not 'autoglmc'"),
        (
            '{"tool": {"name": "autoglmc", "version": "9", "format": 999}}',
            "the bundle has format 999, written by autoglmc '9', and this version",
        ),
        (f'{{"tool": {{"name": "autoglmc", "version": "0", "format": {FORMAT}}}}}', "the manifest: Object missing required field `model`"),
    ],
)
def test_what_is_no_manifest(folder: Path, text: str, says: str) -> None:
    (folder / "manifest.json").write_text(text)
    assert says in refusal(folder)


def test_a_manifest_that_is_missing_binary_or_huge(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refusal(folder)
    with (folder / "manifest.json").open("wb") as stream:
        stream.truncate(65 << 20)
    assert "larger than 64 MiB" in refusal(folder)
    (folder / "manifest.json").unlink()
    assert "manifest.json is missing" in refusal(folder)
    assert "manifest.json is missing" in refusal(folder / "nowhere")


FIELDS: list[tuple[Callable[[Any], None], str]] = [
    (lambda m: m["arena"].pop("total"), "manifest's arena: Object missing required field `total`"),
    (lambda m: m["arena"].update(total=-1), "manifest's arena.total: Expected `int` >= 0"),
    (lambda m: m["arena"].update(align="4"), "manifest's arena.align: Expected `int`, got `str`"),
    (lambda m: m["arena"].update(align=0), "manifest's arena.align"),
    (lambda m: m["arena"].update(total=1 << 63), "manifest's arena.total: Expected `int` <= 9223372036854775807"),
    (
        lambda m: m["segments"][0].update(extra=1),
        "manifest's segments[0] has the unknown field 'extra': another version of autoglmc wrote it, or it was edited",
    ),
    (lambda m: m["schedule"][0].update(kind="jump"), "manifest's schedule[0].kind: Invalid enum value 'jump'"),
    (lambda m: m["schedule"].extend([m["schedule"][0]] * 10_000), "manifest's schedule: Expected `array` of length <= 10000"),
    (lambda m: m["model"].update(sha256="zz"), "manifest's model.sha256"),
    (lambda m: m["segments"][0].update(predicted_seconds=10**400), "manifest's segments[0].predicted_seconds: Number out of range"),
    (lambda m: m["files"]["segments/weights.bin"].update(size="7"), "manifest's files['segments/weights.bin'].size: Expected `int`"),
]
PATHS: list[tuple[Callable[[Any], None], str]] = [
    (lambda m: m["files"].update({"/etc/passwd": m["files"]["segments/weights.bin"]}), "manifest's files"),
    (lambda m: m["files"].update({"segments/../../x": m["files"]["segments/weights.bin"]}), "not a path inside the bundle"),
    (lambda m: m["files"].update({"segments/..": m["files"]["segments/weights.bin"]}), "not a path inside the bundle"),
    (lambda m: m["segments"][0].update(file="../../../etc/passwd"), "manifest's segments[0].file"),
    (lambda m: m["segments"][0].update(file="segments/nine.onnx"), "segments[0] names segments/nine.onnx, which is not among files"),
    (lambda m: m["files"].pop("segments/weights.bin"), "reads weights from 'weights.bin', which is not among files"),
    (lambda m: m["files"].update({"segments/more.bin": m["files"]["segments/weights.bin"]}), "segments/more.bin is missing"),
    (lambda m: m["files"]["segments/weights.bin"].update(size=7), "files['segments/weights.bin'].size says 7"),
    (lambda m: m["files"]["segments/00-npu.onnx"].update(sha256="0" * 64), "files['segments/00-npu.onnx'].sha256 says 000"),
]
PLANS: list[tuple[Callable[[Any], None], str]] = [
    (lambda m: m["arena"]["slots"][1].update(offset=m["arena"]["slots"][0]["offset"]), "live together and overlap"),
    (lambda m: m["arena"].update(total=64), "after the arena's 64 bytes"),
    (lambda m: m["arena"]["slots"][0].update(offset=7), "not a multiple of 64"),
    (lambda m: m["arena"]["slots"][0].update(shape=[4, 320]), "bytes, lifetime [0, 0], do not hold fp32[4, 320]"),
    (lambda m: m["arena"]["slots"][0].update(lifetime=[3, 1]), "lifetime [3, 1]"),
    (lambda m: m["arena"]["slots"][0].update(dtype="fp33"), "do not hold fp33"),
    (lambda m: m["schedule"].pop(0), "lifetime [1, 2] ends after the last step, 1"),
    (lambda m: m["schedule"][1].update(segment=9), "schedule[1] runs segment 9, there are 2"),
    (lambda m: m["schedule"][0].update(source=99), "schedule[0] copies from slot 99"),
    (lambda m: m["schedule"][0].update(segment=0), "schedule[0] is a copy step of segment 0 and slots [0, 1]"),
    (lambda m: m["schedule"][0].update(segment=7), "schedule[0] is a copy step of segment 7"),
    (lambda m: m["schedule"][1].update(source=0), "schedule[1] is a run step of segment 0 and slots [0, None]"),
    (lambda m: m["schedule"][1].update(segment=None), "schedule[1] is a run step of segment None"),
    (lambda m: m["model"].update(outputs=[]), "model.outputs is empty"),
    (lambda m: m["arena"]["slots"][1].update(shape=[4, 8], strides=[32, 4]), "schedule[0] copies fp32[4, 32] into fp32[4, 8]"),
    (lambda m: m["segments"][0]["inputs"][0].update(slot=99), "schedule[1] uses slot 99"),
    (lambda m: m["segments"][1]["inputs"][0].update(slot=3), "segments[1].inputs: 'b' has slot 3, which is of 'y'"),
    (lambda m: m["model"]["outputs"][0].update(slot=0), "model.outputs: 'y' has slot 0, which is of 'x'"),
    (lambda m: m["schedule"].append({**m["schedule"][-1]}), "is not live there"),
    (lambda m: m["arena"]["slots"][0].update(dtype="int4"), "do not hold int4"),
    (lambda m: m["model"]["inputs"][0].update(shape=[4, 33]), "model: 'x' is fp32[4, 33], its slot 0 is not"),
    (lambda m: m["model"]["outputs"][0].update(slot=77), "its slot 77 is not"),
    (lambda m: m["segments"][0]["inputs"][0].update(slot=None), "segments[0] reads 'x' by name before anything makes it"),
    (lambda m: m["segments"][1]["outputs"][0].update(slot=None), "'y' is not in its slot after the last step"),
    (lambda m: m["model"]["inputs"].append({"name": "t", "dtype": "string", "shape": [1], "slot": None}), "'t' has no slot"),
]


SMALL = {"offset": 64, "bytes": 64, "shape": [16], "strides": [4]}
MEANING: list[tuple[Callable[[Any], None], str]] = [
    (lambda m: m["arena"]["slots"][0].update(strides=[64, 4]), "(x): strides [64, 4] are not those of fp32[4, 32] with rows of 128 bytes"),
    (lambda m: m["arena"]["slots"][0].update(strides=[128]), "strides [128] are not"),
    (lambda m: m["arena"]["slots"][0].update(strides=[1] * 65), "Expected `array` of length <= 64"),
    (lambda m: m["arena"]["slots"][0].update(packed_on_cpu=True), "packed_on_cpu is true, its strides and dtypes say otherwise"),
    (lambda m: m["arena"]["slots"][0].update(device_dtype="fp17"), "device_dtype 'fp17' is not a dtype"),
    (lambda m: m["arena"]["slots"][0].update(device_dtype="fp16"), "are not those of fp16[4, 32] with rows of 64 bytes"),
    (lambda m: m["arena"]["slots"][0].update(aliases=["npu"]), "npu binds 'x' twice"),
    (lambda m: m["arena"]["slots"][3].update(aliases=["npu"]), "npu reads 'y' in place, and no handoff says so"),
    (lambda m: m["arena"].update(total=1 << 50), "arena.total is 1125899906842624, the highest slot ends at 1024"),
    (lambda m: m["arena"].update(align=1 << 40), "arena.align is 1099511627776 bytes, at most"),
    (lambda m: m["arena"].update(align=32), "arena.align 32 is not a multiple of 64"),
    (lambda m: m["arena"].update(lower_bound=4096), "arena.lower_bound is 4096, more than the 1024 bytes"),
    (lambda m: m["arena"]["host_values"].append({"tensor": "q", "dtype": "fp32", "reason": ""}),
     "host_values lists 'q', which nothing makes"),
    (lambda m: m["arena"]["slots"].append({**m["arena"]["slots"][3], "tensor": "z", "offset": 512, "lifetime": [0, 0]}), "overlap"),
    (lambda m: m["arena"]["slots"].append({**m["arena"]["slots"][0], "tensor": "z", "lifetime": [2, 2], **SMALL}), "overlap"),
    (lambda m: m["model"]["inputs"][0].update(name="z"), "model.inputs: 'z' has slot 0, which is of 'x'"),
    (lambda m: m["model"]["inputs"].append(m["model"]["inputs"][0]), "model.inputs names a tensor twice"),
    (lambda m: m["model"]["inputs"][0].update(slot=1), "schedule[0] reads a slot that no step before it writes"),
    (lambda m: m["segments"][0]["inputs"][0].update(slot=0), "schedule[1] uses slot 0, which is not live there"),
    (lambda m: m["segments"][0]["inputs"][0].update(tensor="z"), "segments[0].inputs: 'z' has slot 1, which is of 'x'"),
    (lambda m: m["segments"][0]["inputs"].append(m["segments"][0]["inputs"][0]), "segments[0].inputs names a tensor twice"),
    (lambda m: m["segments"][0].update(device="gpu"), "segments[0].inputs: gpu reads 'x' in slot 1 of npu"),
    (lambda m: m["segments"][0].update(file="segments/01-cpu.onnx"), "segments[0].inputs are not those of segments/01-cpu.onnx: 'b'"),
    (lambda m: m["segments"][0]["runtime"].update(opset=17), "segments[0].runtime.opset is 17, segments/00-npu.onnx has 18"),
    (lambda m: m["segments"][0]["runtime"].update(ir_version=7), "segments[0].runtime.ir_version is 7, segments/00-npu.onnx has 8"),
    (lambda m: m["segments"][0]["runtime"].update(options=["v73;x"]), "segments[0].runtime.options[0]"),
    (lambda m: m["segments"][0]["runtime"].update(options=["arch 73"]), "segments[0].runtime.options[0]"),
    (lambda m: m["segments"][0]["runtime"].update(adapter="a b"), "segments[0].runtime.adapter"),
    (lambda m: m["segments"][0]["runtime"].update(versions={"soc": "1"}), "segments[0].runtime.versions are of a blob, and there is none"),
    (lambda m: m["segments"][0].update(compute_dtype="fp8x"), "segments[0].compute_dtype 'fp8x' is not a dtype"),
    (lambda m: m["segments"][0].update(kernels=[["nobody"]]), "segments[0].kernels names 'nobody'"),
    (lambda m: m["segments"][1].update(blob="segments/weights.bin"), "segments/weights.bin was not compiled from segments/01-cpu.onnx"),
    (lambda m: m["files"]["segments/weights.bin"].update(compiled_from="0" * 64), "compiled_from is given, and no segment's blob is there"),
    (lambda m: m["schedule"][2].update(needs=[]), "schedule[2].needs is [], what it reads is written by steps [1]"),
    (lambda m: m["schedule"][2].update(needs=[0, 1]), "schedule[2].needs is [0, 1]"),
    (lambda m: m["schedule"][0].update(needs=[5]), "schedule[0].needs is [5]"),
    (lambda m: m["schedule"][0].update(waits=[0]), "schedule[0].waits is [0]: a step can only wait for earlier ones"),
    (lambda m: m["schedule"].reverse(), "is not live there"),
    (lambda m: m["model"]["outputs"][0].update(m["model"]["inputs"][0], slot=None), "'x' has no slot, and arena.host_values"),
    (lambda m: m["handoffs"].pop(0), "schedule has a copy of slot 0 into slot 1, and no handoff says so"),
    (lambda m: m["handoffs"].pop(1), "cpu reads 'b' in place, and no handoff says so"),
    (lambda m: m["handoffs"][0].update(mode="zero_copy"), "is zero_copy, and they have two slots"),
    (lambda m: m["handoffs"][1].update(mode="copy"), "is a copy, and no such step is in schedule"),
    (lambda m: m["handoffs"][0].update(tensor="q"), "handoffs[0] of 'q' from cpu to npu: cpu has no slot of it"),
    (lambda m: m["verification"].update(verified=True), "verification.verified is true"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), FIELDS + PATHS + PLANS + MEANING)
def test_what_does_not_fit_is_named(folder: Path, change: Callable[[Any], None], says: str) -> None:
    spoil(folder, change)
    assert says in refusal(folder)


def test_a_changed_missing_or_linked_file_is_named(folder: Path) -> None:
    weights = folder / "segments" / "weights.bin"
    data = bytearray(weights.read_bytes())
    data[17] ^= 1
    weights.write_bytes(data)
    assert "segments/weights.bin has sha256" in refusal(folder)
    weights.unlink()
    assert "segments/weights.bin is missing" in refusal(folder)
    weights.symlink_to("/dev/zero")
    assert "symbolic link" in refusal(folder)
    weights.unlink()
    weights.mkdir()
    assert "is not a regular file" in refusal(folder)


def test_weights_outside_the_list_are_not_read(folder: Path) -> None:
    """Listed and hashed segment, but its external data points at a file that nobody hashed."""
    name = "segments/00-npu.onnx"
    model = onnx.load_model(str(folder / name), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../../secret.bin"
    data = model.SerializeToString()
    (folder / name).write_bytes(data)
    spoil(folder, lambda m: m["files"][name].update(size=len(data), sha256=_sha(data)))
    assert "reads weights from '../../secret.bin', which is not among files" in refusal(folder)


def _sha(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _external(where: str, location: str = "../../secret.bin", **more: str) -> onnx.ModelProto:
    """A tensor with external data at each place of a model that can hold one."""
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    body = onnx.helper.make_graph([constant], "body", [], [])
    if where == "body":
        constant = onnx.helper.make_node("If", ["c"], ["d"], then_branch=body, else_branch=body)
    sparse = onnx.SparseTensorProto(values=tensor, indices=tensor)
    model = onnx.ModelProto(ir_version=8, opset_import=[onnx.helper.make_opsetid("", 18)])
    model.graph.name = "g"
    if where in ("node", "body"):
        model.graph.node.append(constant)
    elif where == "initializer":
        model.graph.initializer.append(tensor)
    elif where == "sparse":
        model.graph.sparse_initializer.append(sparse)
    elif where == "sparse attribute":
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    elif where == "function":
        model.functions.add(domain="f", name="f").node.append(constant)
    elif where == "function's default":
        model.functions.add(domain="f", name="f").attribute_proto.append(onnx.helper.make_attribute("a", tensor))
    else:
        model.training_info.add().algorithm.node.append(constant)
    return model


PLACES = ("node", "body", "initializer", "sparse", "sparse attribute", "function", "function's default", "training")


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_wherever_it_is(folder: Path, place: str) -> None:
    put(folder, "segments/00-npu.onnx", _external(place).SerializeToString())
    assert "reads weights from '../../secret.bin', which is not among files" in refusal(folder)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"offset": "4095", "length": "2"}, "which has 4096 bytes"),
        ({"offset": "-1"}, "which has 4096 bytes"),
        ({"length": "9" * 5000}, "which has 4096 bytes"),
        ({"checksum": "1"}, "has the keys ['checksum', 'location']"),
        ({"location": "*/_ORT_MEM_ADDR_/*"}, "which is not among files"),
        ({"location": "/etc/passwd"}, "which is not among files"),
        ({"location": ""}, "which is not among files"),
    ],
)
def test_external_data_lies_inside_the_weights(folder: Path, more: dict[str, str], says: str) -> None:
    put(folder, "segments/00-npu.onnx", _external("initializer", **{"location": "weights.bin", **more}).SerializeToString())
    assert says in refusal(folder)


def put(folder: Path, name: str, data: bytes) -> None:
    """A file of the bundle replaced, its hash too."""
    (folder / name).write_bytes(data)
    spoil(folder, lambda m: m["files"][name].update(size=len(data), sha256=_sha(data)))


@pytest.mark.parametrize("overlapping", [False, True])
def test_ten_thousand_slots_are_not_compared_pair_by_pair(good: Path, overlapping: bool) -> None:
    """Every pair of them is live together; each message is short."""
    data = json.loads((good / "manifest.json").read_text())
    slot = {**data["arena"]["slots"][0], "lifetime": [0, 2], "bytes": 64, "shape": [16], "strides": [4]}
    more = [{**slot, "tensor": f"t{k}", "offset": 1024 + 64 * (k // 2 if overlapping else k)} for k in range(9_000)]
    data["arena"]["slots"] += more
    data["arena"]["total"] = more[-1]["offset"] + 64
    manifest = from_json(json.dumps(data), "here")
    with pytest.raises(BundleError) as failure:
        check_plan(manifest, "here")
    assert ("overlap" if overlapping else "arena.slots[4] (t0) is written by no step") in failure.value.message
    assert len(str(failure.value)) < 400
    looked_at = Counted(manifest.arena.slots)
    assert bool(first_overlap(looked_at)) == overlapping and looked_at.times < 20 * len(looked_at)


class Counted(list[SlotRecord]):
    """Counts how often an item is looked at: no pair after pair."""

    times = 0

    def __getitem__(self, key: Any) -> Any:
        self.times += 1
        return super().__getitem__(key)


def test_names_are_printed_harmlessly_and_short(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder, lambda m: m["model"]["inputs"][0].update(name="\x1b[2J\x00\u202e" + "x" * 1_000_000))
    np.savez(folder.parent / "x.npz", x=np.ones(1))
    assert cli.run(["run", str(folder), "--input", str(folder.parent / "x.npz")]) == 1
    shown = capsys.readouterr().err
    assert len(shown) < 2000 and "\\x1b[2J\\x00\\u202e" in shown and not {"\x1b", "\x00", "\u202e"} & set(shown)


def test_a_manifest_that_is_a_link_or_no_file(folder: Path) -> None:
    (folder / "manifest.json").rename(folder / "real.json")
    (folder / "manifest.json").symlink_to("real.json")
    assert "manifest.json is a symbolic link" in refusal(folder)
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    assert "manifest.json is missing" in refusal(folder)


@pytest.mark.parametrize(
    ("kind", "says"), [("float", "(w) is read by no step, and is not among"), ("string", "'w' is read by no step, and is not")]
)
def test_an_output_that_is_left_out_is_named(tmp_path: Path, kind: str, says: str) -> None:
    """In the arena, or passed by name."""
    model = parse(f"g (float[4] x, {kind}[4] z) => (float[4] y, {kind}[4] w) {{ y = Relu(x) w = Identity(z) }}")
    folder = bundle_of(cut(model, ("cpu",)), tmp_path / "b").folder
    spoil(folder, lambda m: m["model"].update(outputs=m["model"]["outputs"][:1]))
    if kind == "string":
        spoil(folder, lambda m: m["arena"].update(host_values=[v for v in m["arena"]["host_values"] if v["tensor"] in "zw"]))
    assert says in refusal(folder)
