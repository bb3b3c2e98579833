"""OpenVINO beside onnxruntime in one process and one arena: the bundle is right, its handoffs are not copied, and nothing falls back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models import parse

from autoglmc.compiler.bundle.blobs.blob_cache import SegmentRefused, build
from autoglmc.compiler.devices.adapter import Haltable, Port, Rebindable
from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.devices.openvino import PINNED, OpenVinoAdapter
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run.bundle import Bundle

LACK = absence("openvino", ("cpu",))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
LIGHTNET = Path(__file__).parents[1] / "models" / "lightnet.onnx"
# No pooling and no Gemm on the second device, and a price of handing over that its speed pays back: both take part.
TARGET = """hw 1;
target two {
  onnx opset 13..21;
  memory dram { size 16 GiB; budget 4 GiB; bandwidth 50 GB/s; page 4 KiB; shared vino, cpu; }
  device vino : x86 {
    runtime openvino cpu;
    peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us;
    supports fp32 { Conv, Relu, Add, Mul, Sigmoid, Gelu, HardSigmoid; }
  }
  device cpu : x86 { runtime ort; supports all; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; }
  link vino <-> cpu { via host_pages; zero_copy; handoff 1 us; copy 10 GB/s; }
}
"""


@pytest.fixture(scope="module")
def lightnet(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("openvino")
    (folder / "two.hw").write_text(TARGET)
    result = compile_model(LIGHTNET, folder / "two.hw", shapes={"batch": 1}, output=folder / "b")
    assert not isinstance(result.verification, str), result.verification
    return Bundle.load(result.folder)


def pixels(bundle: Bundle, seed: int = 0) -> dict[str, np.ndarray]:
    (value,) = bundle.manifest.model.inputs
    assert value.shape is not None
    return {value.name: np.random.default_rng(seed).standard_normal(value.shape).astype(np.float32)}


def test_both_devices_take_part(lightnet: Bundle) -> None:
    runtimes = {segment.device: segment.runtime for segment in lightnet.manifest.segments}
    assert runtimes.keys() == {"vino", "cpu"}
    assert runtimes["vino"].versions["openvino"].startswith("20")
    vino = [segment for segment in lightnet.manifest.segments if segment.device == "vino"]
    assert all(segment.blob is not None and (lightnet.folder / segment.blob).is_file() for segment in vino)


def test_equal_to_onnxruntime_and_not_copied(lightnet: Bundle) -> None:
    session = lightnet.session(poison=True)
    import onnxruntime

    whole = onnxruntime.InferenceSession(str(LIGHTNET))
    names = [value.name for value in whole.get_outputs()]
    for seed in range(2):
        given = pixels(lightnet, seed)
        got = session.run(given)
        for name, expected in zip(names, whole.run(names, given), strict=True):
            np.testing.assert_allclose(got[name], expected, atol=1e-4 * expected.std())
    assert session.copied == session.emulated == session.narrow == ()
    between = [h for h in lightnet.manifest.handoffs if h.mode == "zero_copy"]
    assert session.zero_copy == len(between) > 2 and len(between) == len(lightnet.manifest.handoffs)
    assert not [step for step in lightnet.manifest.schedule if step.kind != "run"]
    assert {device for device in session.devices} == {"OpenVINO CPU", "CPU"}


def test_the_host_overwrites_what_is_handed_over(lightnet: Bundle) -> None:
    """What the host writes between producer and consumer is what the consumer reads, in both directions."""
    session = lightnet.session(poison=True)
    given = pixels(lightnet)
    before = session.run(given)
    made = {port.tensor: segment.device for segment in lightnet.manifest.segments for port in segment.outputs}
    for producer, consumer in (("vino", "cpu"), ("cpu", "vino")):
        handed = next(h.tensor for h in lightnet.manifest.handoffs if (h.producer, h.consumer) == (producer, consumer) and h.tensor in made)

        def overwrite(tensor: str, device: str, value: np.ndarray, handed: str = handed) -> None:
            if tensor == handed:
                value[...] = 3

        after = session.run(given, overwrite)
        assert any(not np.allclose(after[name], before[name]) for name in before), handed
    again = session.run(given)
    assert all(np.array_equal(again[name], before[name]) for name in before)


def made(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(parse(text).SerializeToString())
    return path


def test_a_segment_it_would_narrow_is_refused(tmp_path: Path) -> None:
    """OpenVINO gives -2 for 2 * (2^62 - 1) in int64, and fp32's digits for fp64."""
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    for dtype, name in (("int64", "int64"), ("double", "fp64")):
        path = made(tmp_path, f"g ({dtype}[4] x) => ({dtype}[4] y) {{ y = Add(x, x) }}")
        with pytest.raises(SegmentRefused, match=f"openvino does not compile m.onnx: x is {name}; OpenVINO keeps only"):
            build(adapter, ("cpu",), path, f"refused-{dtype}", tmp_path / "m.ovblob")


def test_equal_segments_give_equal_blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    path = made(tmp_path, "g (float[1,4,8,8] x) => (float[1,4,8,8] y) { a = Relu(x) b = Add(a, x) y = Sigmoid(b) }")
    blobs = []
    for home in ("1", "2"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
        build(adapter, ("cpu",), path, "equal", place := tmp_path / f"{len(blobs)}.ovblob")
        blobs.append(place.read_bytes())
    assert blobs[0] == blobs[1]


def weighted(tmp_path: Path, kind: str) -> tuple[Path, np.ndarray]:
    """A product with weights of 8 or 4 bits, one scale a column; the weights as numbers."""
    generator = np.random.default_rng(0)
    ends = (-8, 8) if kind == "int4" else (-127, 128)
    whole = generator.integers(*ends, (256, 96)).astype(np.int8)
    scale = generator.uniform(0.001, 0.011, 96).astype(np.float32)
    dtype = onnx.TensorProto.INT4 if kind == "int4" else onnx.TensorProto.INT8
    nodes = [onnx.helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=1), onnx.helper.make_node("MatMul", ["x", "w"], ["y"])]
    ports = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n, shape in (("x", [16, 256]), ("y", [16, 96]))]
    constants = [onnx.helper.make_tensor("q", dtype, whole.shape, whole.ravel()), onnx.numpy_helper.from_array(scale, "s")]
    graph = onnx.helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    path = tmp_path / f"{kind}.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10), path)
    return path, whole * scale.astype(np.float64)


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("compiled_free", [False, True])
def test_what_meets_whole_numbers_is_not_quantised(tmp_path: Path, kind: str, compiled_free: bool) -> None:
    """Left to itself OpenVINO rounds x to 8 bits. What is said at import counts, whatever was said at compilation."""
    import openvino

    path, weights = weighted(tmp_path, kind)
    core, loose, blob = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}, tmp_path / "m.ovblob"
    free = core.compile_model(core.read_model(str(path)), "CPU", loose)
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    if compiled_free:
        blob.write_bytes(free.export_model().getvalue())
    else:
        adapter.compile(path, blob)
    x, y = np.random.default_rng(1).standard_normal((16, 256)).astype(np.float32), np.zeros((16, 96), np.float32)
    adapter.load(path, blob, [Port("x", "fp32", x.shape, x.ctypes.data)], [Port("y", "fp32", y.shape, y.ctypes.data)]).run({})
    exact = x.astype(np.float64) @ weights
    assert np.abs(y - exact).max() < 1e-5 * exact.std()
    imported = core.import_model(blob.read_bytes(), "CPU", loose)
    assert np.abs(imported(x)[0] - exact).max() > 1e-2 * exact.std(), "OpenVINO no longer quantises by itself: the setting is not tested"


@pytest.mark.parametrize("name", sorted(PINNED))
def test_a_property_that_does_not_hold_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    path, _ = weighted(tmp_path, "int8")
    adapter.compile(path, tmp_path / "m.ovblob")
    other = {"EXECUTION_MODE_HINT": "PERFORMANCE", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "32", "CPU_DENORMALS_OPTIMIZATION": "YES"}
    given = other.get(name, "0.5" if name.endswith("RATE") else "bf16")
    settings = OpenVinoAdapter._settings
    monkeypatch.setattr(OpenVinoAdapter, "_settings", lambda self, core: {**settings(self, core), name: given})
    with pytest.raises(RuntimeError, match=f"{name} would be {given}, not {PINNED[name]}"):
        adapter.compile(path, tmp_path / "m.ovblob")


def test_the_mode_is_part_of_what_a_compiled_file_depends_on() -> None:
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None and adapter.versions()["mode"] == "accuracy"


def test_ports_that_cannot_be_bound_are_named(tmp_path: Path) -> None:
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    path, blob = made(tmp_path, "g (float[4] x) => (float[4] y) { y = Neg(x) }"), tmp_path / "m.ovblob"
    adapter.compile(path, blob)
    memory = np.zeros(64, np.float32)
    x, y = Port("x", "fp32", (4,), memory.ctypes.data), Port("y", "fp32", (4,), memory.ctypes.data + 64)
    with pytest.raises(BundleError, match=r"m.onnx has the outputs \['y'\], the manifest lists \['z'\]"):
        adapter.load(path, blob, [x], [Port("z", "fp32", (4,), y.address)])
    with pytest.raises(BundleError, match="y has no address"):
        adapter.load(path, blob, [x], [Port("y", "fp32", None, None)])
    with pytest.raises(BundleError, match=r"OpenVINO cannot load m\.ovblob"):  # the dtype is not the segment's
        adapter.load(path, blob, [x], [Port("y", "int32", (4,), y.address)])
    blob.write_bytes(b"nonsense")
    with pytest.raises(BundleError, match=r"OpenVINO cannot load m\.ovblob"):
        adapter.load(path, blob, [x], [y])


def test_a_write_elsewhere_is_found_out(tmp_path: Path) -> None:
    import openvino

    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    path, blob = made(tmp_path, "g (float[4] x) => (float[4] y) { y = Neg(x) }"), tmp_path / "m.ovblob"
    adapter.compile(path, blob)
    memory, other = np.zeros(64, np.float32), np.zeros(4, np.float32)
    ports = Port("x", "fp32", (4,), memory.ctypes.data), Port("y", "fp32", (4,), memory.ctypes.data + 64)
    segment = adapter.load(path, blob, [ports[0]], [ports[1]])
    segment._request.set_tensor("y", openvino.Tensor(other, shared_memory=True))  # type: ignore[attr-defined]
    segment.run({})
    assert list(segment.misplaced()) == ["y"]


def test_a_further_binding_and_an_end(tmp_path: Path) -> None:
    """Bound again, a segment has the same weights at other addresses; halted, it does not run until told that it may."""
    adapter = adapter_for("openvino", ("cpu",))
    assert adapter is not None
    path, blob = made(tmp_path, "g (float[4] x) => (float[4] y) { y = Neg(x) }"), tmp_path / "m.ovblob"
    adapter.compile(path, blob)
    memory = np.arange(64, dtype=np.float32)
    ports = [Port(name, "fp32", (4,), memory.ctypes.data + 64 * k) for k, name in enumerate("xyxy")]
    first = adapter.load(path, blob, ports[:1], ports[1:2])
    assert isinstance(first, Rebindable) and isinstance(first, Haltable)
    second = first.again(ports[2:3], ports[3:])
    first.run({})
    second.run({})
    np.testing.assert_array_equal(memory[16:20], -memory[:4])
    np.testing.assert_array_equal(memory[48:52], -memory[32:36])
    first.halt(True)
    with pytest.raises(BundleError, match=r"the run of m\.onnx was stopped"):
        first.run({})
    first.halt(False)
    first.run({})
    assert not first.misplaced() and not second.misplaced()


def test_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    lack = absence("openvino", ("npu",))
    assert lack is not None and lack.reason.startswith("OpenVINO finds no NPU here, only CPU")
    assert onnx.__version__  # the reason must not be a missing package
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    lack = absence("openvino", ("cpu",))
    assert lack is not None and lack.help == "pip install 'openvino>=2026.4,<2026.5'"
