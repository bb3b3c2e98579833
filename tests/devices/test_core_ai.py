"""Core AI: bundles for iOS 27 hold an .aimodel per segment, the same bytes in each process; Apple's interpreter runs them here, and every
output says that no Apple device did."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import SHAPES
from run_core_ai import run_core_ai
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.blobs.blob_cache import SegmentRefused, build
from autoglmc.compiler.devices.core_ai import run as core_ai_run
from autoglmc.compiler.devices.core_ai.asset import write_asset
from autoglmc.compiler.devices.core_ai.program import Function
from autoglmc.compiler.devices.core_ai.run import Interpreted
from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.run.bundle import Bundle

WORDS = ("ios", ">=", "27")
ADAPTER = adapter_for("coreai", WORDS)
assert ADAPTER is not None
LACK = absence("coreai", WORDS)
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
LOCAL = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Verified, for an A16 with a Neural Engine that starts in no time: small models are worth it."""
    target = load_target("a16_ios27")
    devices = tuple(replace(device, dispatch=1e-6) if device.name == "npu" else device for device in target.devices)
    folder, name = tmp_path_factory.mktemp("bundle"), "bert_tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))  # what an older version of us wrote may be in the usual one
        result = compile_model(LOCAL / f"{name}.onnx", replace(target, devices=devices), shapes=SHAPES[name], output=folder / "b")
    assert not isinstance(result.verification, str) and result.verification.verified
    assert "the Apple device itself was not run" in result.verification.reason
    return Bundle.load(result.folder)


def test_an_asset_per_segment_with_the_segments_ports(bundle: Bundle) -> None:
    from coreai.authoring import AIModelAsset

    written = [segment for segment in bundle.manifest.segments if segment.runtime.adapter == "coreai"]
    assert written
    for segment in written:
        assert segment.blob == segment.file.replace(".onnx", ".aimodel")
        names = sorted(name.removeprefix(f"{segment.blob}/") for name in bundle.manifest.files if name.startswith(f"{segment.blob}/"))
        assert names == ["main.hash", "main.mlirb", "metadata.json"]
        assert segment.runtime.versions == {"coreai_core": "1.0.0b3", "minimum_ios": "27"}
        model = onnx.load_model(bundle.folder / segment.file)
        about = AIModelAsset.load(bundle.folder / segment.blob).summary()
        assert about is not None and about.function_names == ["main"] and about._compatibility_version == "27.0"
        assert [name for name, _ in about.function_inputs("main")] == [value.name for value in model.graph.input]
        assert [name for name, _ in about.function_outputs("main")] == [value.name for value in model.graph.output]


def test_a_session_says_that_no_apple_device_ran(bundle: Bundle) -> None:
    session = bundle.session()
    assert not session.emulated
    assert any("ran on Apple's interpreter on this CPU: it never ran on an Apple device" in note for note in session.notes)
    assert set(session.not_run.values()) == {"Apple device"}


def test_check_says_that_the_device_itself_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "a16_ios27"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "npu: coreai ios >= 27 runs here, on Apple's interpreter on this CPU: the device itself does not" in said


SCRIPT = """
import sys, onnx
from pathlib import Path
from autoglmc.compiler.devices.core_ai.asset import write_asset
from autoglmc.compiler.devices.core_ai.program import Function
write_asset([Function(model=onnx.load_model(sys.argv[1]))], Path(sys.argv[2]), {"names": "{0: 'Käse'}", "b": "2", "a": "1"})
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_equal_segments_give_equal_bytes_in_two_processes(bundle: Bundle, tmp_path: Path) -> None:
    segment = next(segment for segment in bundle.manifest.segments if segment.blob is not None)
    model = onnx.load_model(bundle.folder / segment.file)
    path, made = save(model, tmp_path), []
    for name, seed in (("1", "1"), ("2", "2")):
        place = tmp_path / name / "m.aimodel"
        place.parent.mkdir()
        subprocess.run([sys.executable, "-c", SCRIPT, path, place], check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        made.append(contents(place))
    assert made[0] == made[1]
    about = json.loads(made[0]["metadata.json"])
    assert about["creationDate"] == "19700101T000000Z" and about["creatorDefinedMetadata"]["names"] == "{0: 'Käse'}"
    assert made[0]["main.mlirb"] == contents(bundle.folder / str(segment.blob))["main.mlirb"]
    assert not re.search(rb"resource_\d+|\.py\b", made[0]["main.mlirb"]), "no random name and no place in our sources"


def test_names_that_no_other_format_takes(tmp_path: Path) -> None:
    model = parse("g (float[2] x) => (float[2] y) { y = Neg(x) }")
    model.graph.input[0].name = model.graph.node[0].input[0] = "a/b.1:0 ä"
    np.testing.assert_array_equal(run_core_ai(model, {"a/b.1:0 ä": np.array([1, -2], np.float32)})["y"], [-1, 2])


def test_fp16_stays_fp16_with_statistics_in_fp32() -> None:
    """The squares are beyond what fp16 holds."""
    model = parse("g (float16[2,64] x) => (float16[2,64] y) { n = LayerNormalization(x, s) y = MatMul(n, w) }", opset=17)
    rng = np.random.default_rng(0)
    for name, shape in (("s", (64,)), ("w", (64, 64))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(rng.standard_normal(shape).astype(np.float16), name))
    x = (1000 * rng.standard_normal((2, 64))).astype(np.float16)
    scale, weight = (onnx.numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer)
    wide = x.astype(np.float64) - x.astype(np.float64).mean(1, keepdims=True)
    expected = (wide / np.sqrt((wide * wide).mean(1, keepdims=True) + 1e-5) * scale) @ weight
    made = run_core_ai(model, {"x": x})["y"]
    assert made.dtype == np.float16
    np.testing.assert_allclose(made.astype(np.float64), expected, rtol=2e-2, atol=2e-2 * np.abs(expected).max())


def test_outputs_that_are_inputs_or_constants_or_alike() -> None:
    ports = "(float[2] x, int64[2] i) => (float[2] x, int64[2] i, float[2] y, float[2] z, int64[3] w)"
    model = parse(f"g {ports} {{ y = Relu(x) z = Identity(y) }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2, 3]), "w"))
    made = run_core_ai(model, {"x": np.array([-1, 2], np.float32), "i": np.array([4, -5])})
    assert {name: value.tolist() for name, value in made.items()} == {
        "x": [-1, 2], "i": [4, -5], "y": [0, 2], "z": [0, 2], "w": [1, 2, 3],
    }  # fmt: skip


def test_a_crash_of_the_interpreter_is_one_message_and_the_next_run_works(tmp_path: Path) -> None:
    asset = tmp_path / "m.aimodel"
    write_asset([Function(model=parse("g (float[2] x) => (float[2] y) { y = Neg(x) }"))], asset, {})
    loaded, feed = Interpreted(asset), {"x": np.array([1, -2], np.float32)}
    assert loaded.run(feed)["y"].tolist() == [-1, 2]
    core_ai_run.SHARED.living()._process.kill()
    core_ai_run.SHARED.living()._process.wait()
    assert loaded.run(feed)["y"].tolist() == [-1, 2]
    with pytest.raises(RuntimeError) as refused:
        Interpreted(tmp_path / "nowhere.aimodel")
    assert "\n" not in str(refused.value)


def test_a_child_that_dies_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asset = tmp_path / "m.aimodel"
    write_asset([Function(model=parse("g (float[2] x) => (float[2] y) { y = Neg(x) }"))], asset, {})
    monkeypatch.setattr(core_ai_run, "SHARED", core_ai_run._Shared())
    crash = "import os, sys; sys.stderr.write('Fatal error: no memory'); sys.stderr.flush(); os.abort()"
    monkeypatch.setattr(core_ai_run, "COMMAND", (sys.executable, "-c", crash))
    with pytest.raises(RuntimeError, match=r"Apple's interpreter crashed \(signal 6\): Fatal error: no memory"):
        Interpreted(asset)


@pytest.mark.parametrize("damage", ["cut", "foreign", "gone"])
def test_a_damaged_asset_is_one_message(damage: str, tmp_path: Path) -> None:
    assert ADAPTER is not None
    path = save(parse("g (float[2] x) => (float[2] y) { y = Neg(x) }"), tmp_path)
    ADAPTER.compile(path, asset := tmp_path / "m.aimodel")
    program = asset / "main.mlirb"
    if damage == "gone":
        program.unlink()
    else:
        program.write_bytes(program.read_bytes()[: program.stat().st_size // 2] if damage == "cut" else b"no program at all")
    with pytest.raises(BundleError) as refused:
        ADAPTER.load(path, asset, [], [])
    assert refused.value.message.startswith("Core AI cannot load m.aimodel: ") and "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("g (float[4,4] x) => (float y) { [d] y = Det(x) }", "Det (node d): autoglmc does not convert this operator to Core AI"),
        ("g (double[4] x) => (double[4] y) { y = Neg(x) }", "the input x: double is not converted"),
        ("g (float[0,3] x) => (float[0,3] y) { y = Neg(x) }", "Neg (node y): input 0 is empty"),
        ("g (int64[2] x) => (int64[2] y) <int64[1] c = {9000000000}> { y = Add(x, c) }", "Add (node y): input 1: it has numbers beyond"),
        ("g (bool[2] x) => (bool[2] y) { y = ReduceMax(x) }", "ReduceMax (node y): coreai-core says: 'coreai.reduce_max' op operand #0"),
    ],
)  # fmt: skip
def test_refusals_name_operator_and_node(tmp_path: Path, text: str, says: str) -> None:
    assert ADAPTER is not None
    with pytest.raises(SegmentRefused) as failure:
        build(ADAPTER, WORDS, save(parse(text, opset=20), tmp_path), "refused", tmp_path / "m.aimodel")
    assert says in str(failure.value)


TARGET = """hw 1;
target phone {
  onnx opset 13..21;
  memory dram { size 4 GiB; budget 1 GiB; bandwidth 50 GB/s; page 16 KiB; shared npu, cpu; }
  device npu : ane {
    runtime coreai ios >= 27;
    peak fp16 10 TFLOPS; peak fp32 10 TFLOPS; dispatch 1 us; launch 1 us;
    supports fp16, fp32 { MatMul, Relu, Add, Det, Hardmax; }
  }
  device cpu : arm64 { runtime ort; supports all; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; }
  link npu <-> cpu { via shared; zero_copy; handoff 1 us; copy 10 GB/s; }
  precision { default fp16; }
}
"""


def test_an_operator_without_a_conversion_is_routed_around(tmp_path: Path) -> None:
    """The target's table claims Hardmax, which no converter has: the placement is solved again without it, and the line to add is told."""
    (tmp_path / "phone.hw").write_text(TARGET)
    model = parse("g (float[8,256] x) => (float[8,256] y) { a = MatMul(x, w) b = Hardmax(a) y = MatMul(b, w) }")
    weight = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32) / 16
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    result = compile_model(save(model, tmp_path), tmp_path / "phone.hw", output=tmp_path / "b", verify=False)
    segments = [(s.device, onnx.load_model(result.folder / s.file, load_external_data=False)) for s in result.manifest.segments]
    assert {(node.op_type, device) for device, model in segments for node in model.graph.node} == {("MatMul", "npu"), ("Hardmax", "cpu")}
    (said,) = [note for note in result.notes if "Hardmax" in note]
    assert "autoglmc does not convert this operator to Core AI" in said and "deny { Hardmax" in said
