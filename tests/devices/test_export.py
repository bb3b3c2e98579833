"""`export` to .tflite, run by LiteRT's interpreter, to .aimodel, run by Apple's, and to .mlpackage, which nothing here runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import SHAPES, model_path
from quantised_models import convolutions, quantise
from run_tflite import apart, operators_of, run_onnx, run_tflite, transposes
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.devices.core_ai import run as core_ai_run
from autoglmc.compiler.devices.core_ai.adapter import not_installed
from autoglmc.compiler.devices.coreml import CoreMlAdapter
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.errors import UsageError, VerifyError
from autoglmc.compiler.export import core_ai_asset, tflite_file
from autoglmc.compiler.export.core_ml_package import WORDS
from autoglmc.compiler.export.export import export_model
from autoglmc.compiler.export.problems import Unconverted

LITERT, COREML, COREAI = absence("litert"), CoreMlAdapter(WORDS).cannot_compile(), not_installed()
litert = pytest.mark.skipif(LITERT is not None, reason=f"{LITERT and LITERT.reason}: {LITERT and LITERT.help}")
coreml = pytest.mark.skipif(COREML is not None, reason=f"{COREML and COREML.reason}: {COREML and COREML.help}")
coreai = pytest.mark.skipif(COREAI is not None, reason=f"{COREAI and COREAI.reason}: {COREAI and COREAI.help}")
Screen = pytest.CaptureFixture[str]
NET = """g (float[1,3,9,8] b, int64[1,2] i, float[1,4] unread, float[1,3,9,8] a) => (float[1,4,5,4] second, float[1,4] first, int64[1,2] j)
<float[4] bias = {1, 2, 3, 4}> {
  s = Sub(a, b)
  c = Conv<strides = [2, 2], pads = [1, 1, 1, 1], kernel_shape = [3, 3]>(s, w, bias)
  second = Tanh(c)
  p = GlobalAveragePool(second)
  first = Flatten(p)
  j = Add(i, i)
}"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    model = parse(NET)
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.helper.set_model_props(model, {"names": "{0: 'Käse'}", "min_runtime_version": "no version"})
    return save(model, tmp_path)


def feeds() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    images = {name: rng.standard_normal((1, 3, 9, 8)).astype(np.float32) for name in ("b", "a")}
    return {**images, "i": np.array([[3, -4]]), "unread": np.zeros((1, 4), np.float32)}


def ports(data: bytes) -> tuple[list[Any], list[Any]]:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=data)
    return tuple(  # type: ignore[return-value]
        [(one["name"], one["dtype"], tuple(one["shape"])) for one in details]
        for details in (made.get_input_details(), made.get_output_details())
    )


def metadata(data: bytes) -> dict[str, Any]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    return {one.name.decode(): json.loads(bytes(model.buffers[one.buffer].data)) for one in model.metadata}


@litert
def test_names_order_dtypes_layout_and_labels_stay(net: Path, capsys: Screen) -> None:
    before, out = net.read_bytes(), net.with_suffix(".tflite")
    assert cli.run(["export", str(net), "-o", str(out), "--json"]) == 0
    facts, data = json.loads(capsys.readouterr().out), out.read_bytes()
    assert net.read_bytes() == before
    f32, i64 = np.float32, np.int64
    assert ports(data) == (
        [("b", f32, (1, 3, 9, 8)), ("i", i64, (1, 2)), ("unread", f32, (1, 4)), ("a", f32, (1, 3, 9, 8))],
        [("second", f32, (1, 4, 5, 4)), ("first", f32, (1, 4)), ("j", i64, (1, 2))],
    )
    about = metadata(data)
    assert about["onnx.metadata_props"] == {"names": "{0: 'Käse'}", "min_runtime_version": "no version"}
    assert about["autoglmc.export"]["parity"] == facts["parity"] and about["autoglmc.export"]["layout"] == "nchw"
    assert [one["name"] for one in facts["parity"]["outputs"]] == ["second", "first", "j"]
    assert all(one["relative"] < 1e-5 for one in facts["parity"]["outputs"])
    names = ["second", "first", "j"]
    for want, got in zip(run_onnx(onnx.load(net), feeds(), names), run_tflite(data, feeds(), names), strict=True):
        assert want.dtype == got.dtype and apart(want, got) < 1e-5


@litert
def test_nhwc_turns_what_has_four_dims_and_needs_no_transpose(net: Path) -> None:
    out = net.with_suffix(".tflite")
    made = export_model(net, out, layout="nhwc")
    data = out.read_bytes()
    assert made.verified and made.as_json()["layout"] == metadata(data)["autoglmc.export"]["layout"] == "nhwc"
    given, results = ports(data)
    assert [shape for _, _, shape in given] == [(1, 9, 8, 3), (1, 2), (1, 4), (1, 9, 8, 3)]
    assert [shape for _, _, shape in results] == [(1, 5, 4, 4), (1, 4), (1, 2)]
    assert transposes(data) == 0
    (want,) = run_onnx(onnx.load(net), feeds(), ["second"])
    turned = {name: value.transpose(0, 2, 3, 1) if value.ndim == 4 else value for name, value in feeds().items()}
    (got,) = run_tflite(data, turned, ["second"])
    assert apart(want.transpose(0, 2, 3, 1), got) < 1e-5


@litert
def test_two_exports_give_the_same_bytes(net: Path) -> None:
    made = [net.with_name(name) for name in ("one.tflite", "two.tflite")]
    for out in made:
        export_model(net, out)
    assert made[0].read_bytes() == made[1].read_bytes()


@litert
def test_everything_that_is_not_converted_is_named_and_nothing_is_written(tmp_path: Path, capsys: Screen) -> None:
    text = "g (float[4] x) => (float[4] y, float[4] z) { [far] e = Erf(x) y = Relu(e) [near] z = Erf(y) }"
    path, out = save(parse(text), tmp_path), tmp_path / "m.tflite"
    with pytest.raises(Unconverted) as caught:
        export_model(path, out)
    assert [(one["operator"], one["node"]) for one in caught.value.refusals] == [("Erf", "far"), ("Erf", "near")]
    assert cli.run(["export", str(path), "-o", str(out)]) == 1
    said = capsys.readouterr().err
    assert "2 parts of the model cannot be converted to LiteRT's operators: Erf (node far): " in said and "Erf (node near): " in said
    assert cli.run(["export", str(path), "-o", str(out), "--json"]) == 1
    assert [one["node"] for one in json.loads(capsys.readouterr().out)["error"]["refusals"]] == ["far", "near"]
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@litert
def test_a_file_that_computes_something_else_is_not_written(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = tflite_file.tflite_bytes

    def wrong(prepared: Any, *rest: Any) -> bytes:
        weight = next(t for t in prepared.model.graph.initializer if len(t.dims) == 4)
        changed = onnx.numpy_helper.to_array(weight) * np.float32(1.0005)
        weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
        return write(prepared, *rest)

    monkeypatch.setattr(tflite_file, "tflite_bytes", wrong)
    with pytest.raises(VerifyError, match="the converted model differs"):
        export_model(net, net.with_suffix(".tflite"))
    assert [p.name for p in net.parent.iterdir()] == ["model.onnx"]


@litert
@pytest.mark.parametrize("name", ["lightnet", "bert_tiny", "ppocr2_cls", "ppocr4_rec", "magika_v3_3"])
def test_real_models_are_right(name: str, tmp_path: Path) -> None:
    made = export_model(model_path(name), tmp_path / "m.tflite", shapes=SHAPES[name])
    assert made.parity is not None and made.verified
    assert all(one.relative < 1e-4 for one in made.parity.outputs), made.parity.outputs


@coreml
def test_a_package_is_written_and_the_screen_says_that_it_never_ran(tmp_path: Path, capsys: Screen) -> None:
    model = parse("g (float[1,4] x) => (float[1,4] y) { y = Tanh(x) }")
    onnx.helper.set_model_props(model, {"names": "cat"})
    out, path = tmp_path / "m.mlpackage", save(model, tmp_path)
    assert cli.run(["export", str(path), "-o", str(out)]) == 4
    assert "run only in an app on an Apple machine" in " ".join(capsys.readouterr().out.split())
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString((out / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    assert spec.description.metadata.userDefined["names"] == "cat"
    assert cli.run(["export", str(path), "-o", str(out)]) == 2, "a folder is never replaced"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.mlpackage", "model.onnx"]


@coreml
def test_what_core_ml_does_not_take_is_named(tmp_path: Path, capsys: Screen) -> None:
    path = save(parse("g (float[2,2] x) => (float y) { [d] y = Det(x) }"), tmp_path)
    assert cli.run(["export", str(path), "-o", str(tmp_path / "m.mlpackage")]) == 1
    said = capsys.readouterr().err
    assert "Det" in said and "autoglmc does not convert this operator" in said
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@coreai
def test_an_asset_is_compared_and_the_screen_says_that_no_apple_device_ran_it(net: Path, capsys: Screen) -> None:
    before, out = net.read_bytes(), net.with_suffix(".aimodel")
    assert cli.run(["export", str(net), "-o", str(out)]) == 0
    assert "the .aimodel never ran on an Apple device" in " ".join(capsys.readouterr().out.split())
    assert net.read_bytes() == before and sorted(p.name for p in out.iterdir()) == ["main.hash", "main.mlirb", "metadata.json"]
    about = json.loads((out / "metadata.json").read_text())["creatorDefinedMetadata"]
    assert about["names"] == "{0: 'Käse'}" and about["min_runtime_version"] == "no version"
    parity = json.loads(about["autoglmc.export"])["parity"]
    assert [one["name"] for one in parity["outputs"]] == ["second", "first", "j"]
    assert all(one["relative"] < 1e-5 for one in parity["outputs"])
    assert cli.run(["export", str(net), "-o", str(out)]) == 2, "a folder is never replaced"
    again = net.with_name("again.aimodel")
    assert cli.run(["export", str(net), "-o", str(again), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parity"] == parity
    assert all((out / name).read_bytes() == (again / name).read_bytes() for name in ("main.hash", "main.mlirb", "metadata.json"))
    assert cli.run(["export", str(net), "-o", str(net.with_name("bare.aimodel")), "--no-verify"]) == 4


@coreai
def test_an_asset_that_computes_something_else_is_not_written(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = core_ai_asset.write_core_ai

    def wrong(functions: Any, *rest: Any) -> None:
        weight = next(t for t in functions["main"].model.graph.initializer if len(t.dims) == 4)
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.0005), weight.name))
        write(functions, *rest)

    monkeypatch.setattr(core_ai_asset, "write_core_ai", wrong)
    with pytest.raises(VerifyError, match="the converted model differs"):
        export_model(net, net.with_suffix(".aimodel"))
    assert [p.name for p in net.parent.iterdir()] == ["model.onnx"]


@coreai
def test_a_crash_of_apples_interpreter_is_one_message_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Screen
) -> None:
    path = save(parse("g (float[1,4] x) => (float[1,4] y) { y = Tanh(x) }"), tmp_path)
    crash = "import os, sys; sys.stderr.write('Fatal error: no memory'); sys.stderr.flush(); os.abort()"
    monkeypatch.setattr(core_ai_run, "SHARED", core_ai_run._Shared())
    monkeypatch.setattr(core_ai_run, "COMMAND", (sys.executable, "-c", crash))
    assert cli.run(["export", str(path), "-o", str(tmp_path / "m.aimodel")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "Core AI does not load the converted model: Apple's interpreter crashed (signal 6): Fatal error: no memory" in said
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@coreai
def test_everything_that_core_ai_lacks_is_named_and_nothing_is_written(tmp_path: Path, capsys: Screen) -> None:
    text = "g (float[2,2] x) => (float y, float[2,2] z) { [d] y = Det(x) [h] z = Hardmax(x) }"
    path, out = save(parse(text), tmp_path), tmp_path / "m.aimodel"
    assert cli.run(["export", str(path), "-o", str(out)]) == 1
    said = capsys.readouterr().err
    assert "2 parts of the model cannot be converted to Core AI's operators: Det (node d): " in said and "Hardmax (node h): " in said
    assert "compile it for a target with a Core AI device" in said
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def samples(count: int = 12) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    return [{"x": rng.standard_normal((1, 3, 24, 24)).astype(np.float32)} for _ in range(count)]


@litert
def test_a_float_model_becomes_integers_by_samples(tmp_path: Path) -> None:
    source, output = save(convolutions(), tmp_path), tmp_path / "m.tflite"
    made = export_model(source, output, calibration=samples())
    codes = [name for name, _ in operators_of(output.read_bytes()).elements()]
    assert codes.count("QUANTIZE") == codes.count("DEQUANTIZE") == 1 and "CONV_2D" in codes
    (accuracy,) = made.accuracy
    assert made.verified and accuracy["output"] == "y" and accuracy["samples"] == 3 and accuracy["held_out"]
    assert accuracy["least_cosine"] > 0.99
    (held,) = samples()[3:4]
    assert apart(run_onnx(convolutions(), held, ["y"])[0], run_tflite(output.read_bytes(), held, ["y"])[0]) < 0.1


@litert
def test_what_quantising_came_to_is_in_the_file_and_the_bytes_are_the_same_again(tmp_path: Path) -> None:
    source = save(convolutions(), tmp_path)
    made = [export_model(source, tmp_path / name, calibration=samples()) for name in ("a.tflite", "b.tflite")]
    first, second = ((tmp_path / name).read_bytes() for name in ("a.tflite", "b.tflite"))
    assert first == second
    about = metadata(first)["autoglmc.export"]
    assert about["calibration"]["samples"] == 9 and about["accuracy"] == json.loads(json.dumps(made[0].accuracy))
    assert about["parity"]["outputs"][0]["name"] == "y"


@litert
def test_a_quantised_model_is_not_calibrated_and_samples_are_for_tflite_alone(tmp_path: Path) -> None:
    quantised = quantise(convolutions(), tmp_path, per_channel=True)
    with pytest.raises(UsageError, match="quantised"):
        export_model(quantised, tmp_path / "m.tflite", calibration=samples())
    with pytest.raises(UsageError, match=r"--calibration-data is for \.tflite files"):
        export_model(quantised, tmp_path / "m.onnx", calibration=samples())
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("m.")]
