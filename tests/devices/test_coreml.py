"""Core ML: bundles for an iPhone hold an .mlpackage per segment of its NPU, the same bytes each time, and say that they do not run here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from models import SHAPES, model_path
from small_models import parse

from autoglmc.compiler.bundle.blobs.blob_cache import SegmentRefused, build
from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import BundleError, UserError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.targets.model import Target

WORDS = ("mlprogram", "ios", ">=", "17")
ADAPTER = adapter_for("coreml", WORDS)
assert ADAPTER is not None
LACK = ADAPTER.cannot_compile()
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
LOCAL = Path(__file__).parents[1] / "models"


def where(name: str) -> Path:
    found = LOCAL / f"{name}.onnx"
    return found if found.is_file() else model_path(name)


def quick_npu() -> Target:
    """The A16 with a Neural Engine that starts in no time: small models are worth it."""
    target = load_target("a16")
    devices = tuple(replace(device, dispatch=1e-6) if device.name == "npu" else device for device in target.devices)
    return replace(target, devices=devices)


@pytest.fixture(scope="module", params=["bert_tiny", "lightnet", "ppocr2_cls"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        result = compile_model(where(name), quick_npu(), shapes=SHAPES[name], output=folder / "b", verify=False)
    return Bundle.load(result.folder)


def emitted(bundle: Bundle) -> list[Any]:
    return [segment for segment in bundle.manifest.segments if segment.runtime.adapter == "coreml"]


def ports_of(spec: Any) -> Mapping[str, str]:
    """Names in the segment -> names in the package, where they differ."""
    return dict(json.loads(spec.description.metadata.userDefined.get("autoglmc.ports", "{}")))


def test_a_package_per_segment(bundle: Bundle) -> None:
    assert emitted(bundle)
    for segment in emitted(bundle):
        assert segment.blob == segment.file.replace(".onnx", ".mlpackage")
        names = [name.removeprefix(f"{segment.blob}/") for name in bundle.manifest.files if name.startswith(f"{segment.blob}/")]
        data = "Data/com.apple.CoreML"
        assert sorted(names) == [f"{data}/model.mlmodel", f"{data}/weights/weight.bin", "Manifest.json"]
        assert segment.runtime.versions == {"coremltools": "9.0", "deployment_target": "iOS17"}


def test_what_is_on_disk_computes_the_segment(bundle: Bundle) -> None:
    """Read back from disk and evaluated in fp32, beside the segment with its weights rounded to fp16."""
    from coremltools.models.utils import load_spec
    from mil_reference import run_package

    rng = np.random.default_rng(0)
    for segment in emitted(bundle):
        session = onnxruntime.InferenceSession(rounded(onnx.load_model(bundle.folder / segment.file)).SerializeToString())
        feed = {value.name: rng.standard_normal(value.shape).astype(np.float32) for value in session.get_inputs()}
        renamed = ports_of(load_spec(str(bundle.folder / segment.blob)))
        got = run_package(bundle.folder / segment.blob, {renamed.get(name, name): value for name, value in feed.items()})
        names = [value.name for value in session.get_outputs()]
        for name, expected in zip(names, session.run(names, feed), strict=True):
            value = got[renamed.get(name, name)]
            assert np.abs(value - expected).max() < 3e-3 * expected.std()  # constants folded before they are rounded


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            value = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    return model


def test_ports_and_precision(bundle: Bundle) -> None:
    from coremltools.converters.mil.mil import types
    from coremltools.models.utils import load_spec
    from mil_reference import read_package

    for segment in emitted(bundle):
        package = bundle.folder / segment.blob
        spec = load_spec(str(package))
        assert spec.specificationVersion == 8  # iOS 17
        model = onnx.load_model(bundle.folder / segment.file)
        renamed = ports_of(spec)
        for values, features in ((model.graph.input, spec.description.input), (model.graph.output, spec.description.output)):
            kinds = {feature.name: (feature.type.multiArrayType.dataType, tuple(feature.type.multiArrayType.shape)) for feature in features}
            for value in values:
                name = renamed.get(value.name, value.name)
                assert renamed.keys() >= {value.name} or re.fullmatch(r"[A-Za-z_]\w*", value.name)
                dtype, shape = kinds.pop(name)
                assert dtype == 65568  # FLOAT32 of FeatureTypes.proto
                assert shape == tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            assert not kinds
        function = read_package(package).functions["main"]
        computed = [op.outputs[0].dtype for op in function.operations if op.op_type in ("conv", "matmul", "linear")]
        assert computed and all(dtype == types.fp16 for dtype in computed)


def test_weights_are_the_segments_rounded_to_fp16(tmp_path: Path) -> None:
    from mil_reference import read_package

    weight = np.random.default_rng(0).standard_normal((16, 4, 3, 3)).astype(np.float32)
    model = parse("g (float[1,4,8,8] x) => (float[1,16,6,6] y) { y = Conv(x, w) }")
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    package = compiled(tmp_path, model)
    convs = [op for op in read_package(package).functions["main"].operations if op.op_type == "conv"]
    np.testing.assert_array_equal(convs[0].inputs["weight"].val, weight.astype(np.float16))


def compiled(folder: Path, model: onnx.ModelProto) -> Path:
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    assert ADAPTER is not None
    ADAPTER.compile(folder / "m.onnx", folder / "m.mlpackage")
    return folder / "m.mlpackage"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_equal_segments_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ADAPTER is not None
    result = compile_model(where("bert_tiny"), "a16", shapes=SHAPES["bert_tiny"], output=tmp_path / "b", verify=False)
    (segment,) = emitted(Bundle.load(result.folder))
    packages = []
    for home in ("1", "2"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
        build(ADAPTER, WORDS, result.folder / segment.file, "equal", place := tmp_path / f"{len(packages)}.mlpackage")
        packages.append(contents(place))
    assert packages[0] == packages[1] and len(packages[0]) == 3


def test_it_does_not_run_here_and_says_so(bundle: Bundle) -> None:
    with pytest.raises(UserError, match=r"cannot run here: Core ML segments are emitted as \.mlpackage and run only in an app on an Apple"):
        bundle.session()
    session = bundle.session(emulate=True)
    assert len(session.emulated) == len(emitted(bundle)) and not session.narrow


def test_emulated_bundles_with_packages_are_verified(tmp_path: Path) -> None:
    result = compile_model(where("bert_tiny"), "a16", shapes=SHAPES["bert_tiny"], output=tmp_path / "b", emulate=True)
    assert not isinstance(result.verification, str)
    assert emitted(Bundle.load(result.folder))[0].blob is not None


def test_a_damaged_package_is_found_out(tmp_path: Path) -> None:
    result = compile_model(where("lightnet"), "a16", shapes=SHAPES["lightnet"], output=tmp_path / "b", verify=False)
    package = result.folder / str(emitted(Bundle.load(result.folder))[0].blob)
    (package / "extra").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"names segments/00-npu\.mlpackage/extra, which is not among files"):
        Bundle.load(result.folder)
    (package / "extra").unlink()
    manifest = package / "Manifest.json"
    manifest.write_text(manifest.read_text().replace("CoreML", "coreml"))
    with pytest.raises(BundleError, match=r"Manifest\.json has sha256"):
        Bundle.load(result.folder)


TARGET = """hw 1;
target phone {
  onnx opset 13..21;
  memory dram { size 4 GiB; budget 1 GiB; bandwidth 50 GB/s; page 16 KiB; shared npu, cpu; }
  device npu : ane {
    runtime coreml mlprogram ios >= 17;
    peak fp16 10 TFLOPS; peak fp32 10 TFLOPS; dispatch 1 us; launch 1 us;
    supports fp16, fp32 { MatMul, Relu, Add, Det, Selu; }
  }
  device cpu : arm64 { runtime ort; supports all; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; }
  link npu <-> cpu { via shared; zero_copy; handoff 1 us; copy 10 GB/s; }
  precision { default fp16; }
}
"""


def test_an_operator_without_a_conversion_is_routed_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table claims Hardmax, which no converter supports: it is placed again without it, and the message names the line to add."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "phone.hw").write_text(TARGET)
    model = parse("g (float[8,256] x) => (float[8,256] y) { a = MatMul(x, w) b = Selu(a) y = MatMul(b, w) }")
    weight = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32) / 16
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    result = compile_model(tmp_path / "m.onnx", tmp_path / "phone.hw", output=tmp_path / "b", verify=False)
    devices = {node.op_type: segment.device for segment in result.manifest.segments for node in nodes_of(result.folder / segment.file)}
    assert devices == {"MatMul": "npu", "Selu": "cpu"}
    (said,) = [note for note in result.notes if "Selu" in note]
    assert "autoglmc does not convert this operator" in said and "deny { Selu" in said


def nodes_of(path: Path) -> list[onnx.NodeProto]:
    return list(onnx.load_model(path, load_external_data=False).graph.node)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("g (float[4,4] x) => (float y) { y = Det(x) }", "Det (node y): autoglmc does not convert this operator"),
        ("g (int32[4] x) => (int32[4] y) { y = Div(x, x) }", "Div (node y): whole numbers are divided towards zero"),
        ("g (bool[4] x) => (bool[4] y) { y = Not(x) }", "the input x: Core ML takes non-empty fp32, fp16 and int32"),
        ("g (float[1,1,1,1,1,4] x) => (float[4] y) { y = Squeeze(x) }",
         "the input x: Core ML takes non-empty fp32, fp16 and int32 tensors of rank 1 to 5"),
        ("g (float[2,2,2,2,2] x) => (float[1,2,2,2,2,2] y) { y = Unsqueeze(x, a) }", "Unsqueeze (node y): y has rank 6"),
        ("g (float[4] x, float[4] l) => (float[2] y) { y = Slice(x, s, e) }", "Slice (node y): an empty slice is not converted"),
        ("g (float[1,1,8,8] x) => (float[1,1,5,5] y) { y = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1, pads = [0,0,1,1]>"
         " (x) }", "MaxPool (node y): ceil_mode adds a window"),
    ],
)  # fmt: skip
def test_refusals_name_operator_and_node(tmp_path: Path, text: str, says: str) -> None:
    model = parse(text)
    for name, value in (("a", [0]), ("s", [2]), ("e", [2])):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert ADAPTER is not None
    with pytest.raises(SegmentRefused) as failure:
        build(ADAPTER, WORDS, tmp_path / "m.onnx", "refused", tmp_path / "m.mlpackage")
    assert says in str(failure.value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("neuralnetwork", "ios", ">=", "17"), "only mlprogram is emitted"),
        (("mlprogram", "ios", ">=", "15"), "emitted for ios >= 16 or macos >= 13"),
    ],
)
def test_lines_that_are_not_emitted(words: tuple[str, ...], says: str) -> None:
    adapter = adapter_for("coreml", words)
    assert adapter is not None
    lack = adapter.cannot_compile()
    assert lack is not None and says in lack.reason and absence("coreml", words) == lack


@pytest.mark.parametrize(
    ("words", "target"),
    [((), "iOS16"), (("ios", ">=", "17.2"), "iOS17"), (("ios", ">=", "26"), "iOS18"), (("macos", ">=", "14"), "macOS14")],
)
def test_the_newest_form_that_the_oldest_system_reads(words: tuple[str, ...], target: str) -> None:
    adapter = adapter_for("coreml", ("mlprogram", *words))
    assert adapter is not None and adapter.versions()["deployment_target"] == target
