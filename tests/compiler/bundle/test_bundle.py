"""The manifest and its schema, and that a bundle which does not fit itself is refused by name before anything of it runs."""

from __future__ import annotations

import json
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

from autoglmc.compiler.bundle.manifest import BoundRecord
from autoglmc.compiler.bundle.manifest_json import from_json, read_manifest, to_json
from autoglmc.compiler.bundle.plan_records import ValueRecord
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run.bundle import Bundle

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
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2, ensure_ascii=False) + "\n"
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
        ("[1,", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not an autoglmc bundle"),
        ('{"tool": {}, "tool": {}}', "the field 'tool' is given twice"),
        ('{"tool": NaN}', "NaN is not a JSON number"),
        ('{"tool": ' + "9" * 5000 + "}", "not JSON"),
        ('{"tool": {"name": "make"}}', "tool.name is not 'autoglmc'"),
        (
            '{"tool": {"name": "autoglmc", "version": "9", "format": 999}}',
            "the bundle has format 999, written by autoglmc '9', and this version",
        ),
        ('{"tool": {"name": "autoglmc", "version": "0", "format": 4}}', "the manifest: Object missing required field `model`"),
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
    (lambda m: m["segments"][0].update(extra=1), "manifest's segments[0]: Object contains unknown field `extra`"),
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
    (lambda m: m["schedule"].pop(0), "is not live there"),
    (lambda m: m["schedule"][1].update(segment=9), "schedule[1] runs segment 9, there are 2"),
    (lambda m: m["schedule"][0].update(source=99), "schedule[0] copies from slot 99"),
    (lambda m: m["schedule"][0].update(segment=0), "schedule[0] is a copy step of segment 0 and slots [0, 1]"),
    (lambda m: m["schedule"][0].update(segment=7), "schedule[0] is a copy step of segment 7"),
    (lambda m: m["schedule"][1].update(source=0), "schedule[1] is a run step of segment 0 and slots [0, None]"),
    (lambda m: m["schedule"][1].update(segment=None), "schedule[1] is a run step of segment None"),
    (lambda m: m["model"].update(outputs=[]), "model.outputs is empty"),
    (lambda m: m["arena"]["slots"][1].update(shape=[4, 8]), "schedule[0] copies fp32[4, 32] into fp32[4, 8]"),
    (lambda m: m["segments"][0]["inputs"][0].update(slot=99), "schedule[1] uses slot 99"),
    (lambda m: m["segments"][1]["inputs"][0].update(slot=3), "schedule[2] reads a slot that no step before it writes"),
    (lambda m: m["model"]["outputs"][0].update(slot=0), "'y' is not in its slot after the last step"),
    (lambda m: m["schedule"].append({**m["schedule"][-1]}), "is not live there"),
    (lambda m: m["arena"]["slots"][0].update(dtype="int4"), "do not hold int4"),
    (lambda m: m["model"]["inputs"][0].update(shape=[4, 33]), "model: 'x' is fp32[4, 33], its slot 0 is not"),
    (lambda m: m["model"]["outputs"][0].update(slot=77), "its slot 77 is not"),
    (lambda m: m["segments"][0]["inputs"][0].update(slot=None), "segments[0] reads 'x' by name before anything makes it"),
    (lambda m: m["segments"][1]["outputs"][0].update(slot=None), "'y' is not in its slot after the last step"),
    (lambda m: m["model"]["inputs"].append({"name": "t", "dtype": "string", "shape": [1], "slot": None}), "'t' has no slot"),
]


@pytest.mark.parametrize(("change", "says"), FIELDS + PATHS + PLANS)
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
