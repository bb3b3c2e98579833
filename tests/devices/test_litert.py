"""LiteRT beside onnxruntime in one process and one arena: the bundle is right, its handoffs are not copied, its operators are timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile_models import run_command
from models import SHAPES, model_path
from small_models import parse, save

from autoglmc.compiler.bundle.blobs.blob_cache import SegmentRefused, build
from autoglmc.compiler.calibrate.measure.join import join
from autoglmc.compiler.calibrate.measure.ports import ports_of
from autoglmc.compiler.calibrate.measure.segment_kernels import segment_kernels
from autoglmc.compiler.calibrate.measure.source import Runnable
from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.run.bundle import Bundle

LACK = absence("litert")
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
MODELS = ("lightnet", "bert_tiny", "glm_tiny")
# Prices that send everything to LiteRT that it can; and, for handoffs in both directions, no pooling and no Gemm for it.
ALL = """hw 1;
include "std/litert_builtin.hw";
target lite {
  onnx opset 13..23;
  memory dram { size 16 GiB; budget 4 GiB; bandwidth 50 GB/s; shared xnn, cpu; }
  device xnn : x86 { runtime litert; inherit litert_builtin; peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us; %s }
  device cpu : x86 { runtime ort; supports all; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; }
  link xnn <-> cpu { via host_pages; zero_copy; handoff 1 us; copy 10 GB/s; }
}
"""
ALTERNATING = "deny { GlobalAveragePool, Gemm, Sigmoid, ReduceMean; }"


def compiled(folder: Path, model: str, deny: str = "") -> CompileResult:
    (folder / "lite.hw").write_text(ALL % deny)
    return compile_model(model_path(model), folder / "lite.hw", shapes=SHAPES[model], output=folder / "bundle")


@pytest.mark.parametrize("model", MODELS)
def test_a_model_runs_on_litert_alone_and_is_right(model: str, tmp_path: Path) -> None:
    result = compiled(tmp_path, model)
    assert not isinstance(result.verification, str) and result.verification.verified, result.verification
    assert not result.verification.emulated
    session = Bundle.load(result.folder).session(poison=True)
    assert not session.copied and not session.notes and "LiteRT CPU" in session.devices
    mine = [segment for segment in result.manifest.segments if segment.device == "xnn"]
    assert len(mine) == 1 and mine[0].blob is not None
    nodes = {segment.device: len(onnx.load(result.folder / segment.file).graph.node) for segment in result.manifest.segments}
    assert nodes["xnn"] > 9 * nodes.get("cpu", 0), "the table has lost operators"


@pytest.fixture(scope="module")
def alternating(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    result = compiled(tmp_path_factory.mktemp("alternating"), "lightnet", ALTERNATING)
    assert not isinstance(result.verification, str) and result.verification.verified
    return Bundle.load(result.folder)


def pixels(bundle: Bundle) -> dict[str, np.ndarray]:
    (value,) = bundle.manifest.model.inputs
    assert value.shape is not None
    return {value.name: np.random.default_rng(0).standard_normal(value.shape).astype(np.float32)}


def test_handoffs_have_one_address_and_slots_suit_litert(alternating: Bundle) -> None:
    session = alternating.session(poison=True)
    assert session.zero_copy == len(alternating.manifest.handoffs) > 2
    handed = {h.tensor for h in alternating.manifest.handoffs}
    slots = [slot for slot in alternating.manifest.arena.slots if slot.tensor in handed]
    assert slots and all((session.base + slot.offset) % 64 == 0 for slot in slots)


def test_the_host_overwrites_what_is_handed_over(alternating: Bundle) -> None:
    """What the host writes between producer and consumer is what the consumer reads, in both directions."""
    session, given = alternating.session(poison=True), pixels(alternating)
    before = session.run(given)
    made = {port.tensor: segment.device for segment in alternating.manifest.segments for port in segment.outputs}
    for producer, consumer in (("xnn", "cpu"), ("cpu", "xnn")):
        crossing = (h.tensor for h in alternating.manifest.handoffs if (h.producer, h.consumer) == (producer, consumer))
        handed = next(tensor for tensor in crossing if tensor in made)

        def overwrite(tensor: str, device: str, value: np.ndarray, handed: str = handed) -> None:
            if tensor == handed:
                value[...] = 3

        after = session.run(given, overwrite)
        assert any(not np.allclose(after[name], before[name]) for name in before), handed
    again = session.run(given)
    assert all(np.array_equal(again[name], before[name]) for name in before)


def test_overlapping_requests_give_the_same_bits(alternating: Bundle) -> None:
    session, given = alternating.session(), pixels(alternating)
    one = session.run_many([given] * 4)
    other = session.run_many([given] * 4, pipeline=True, generations=2)
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)
    assert not session.loaded_again


@pytest.mark.parametrize("model", MODELS)
def test_every_operator_gets_its_time(model: str, tmp_path: Path) -> None:
    """Names and order join LiteRT's events, XNNPACK's among them, to the kernels of the segment: nothing is left over."""
    from autoglmc.compiler.calibrate.measure.litert_source import LiteRtSource

    result = compiled(tmp_path, model)
    target = load_target(str(tmp_path / "lite.hw"))
    (segment,) = (segment for segment in result.manifest.segments if segment.device == "xnn")
    path = result.folder / segment.file
    loaded = onnx.shape_inference.infer_shapes(onnx.load(path))
    source, runnable = LiteRtSource(), Runnable(path, ports_of(loaded), len(loaded.graph.node))
    kernels = segment_kernels(loaded, target, target.device("xnn")).kernels
    profile = source.profile(runnable, source.latency(runnable, 0.01).seconds, 0.05)
    joined = join(kernels, profile.reported)
    assert joined.missing == 0.0, joined.unjoined
    products = [k for k, one in enumerate(kernels) if any(view.operator in ("Conv", "MatMul", "Gemm") for view in one.views)]
    assert products and all(joined.seconds.get(k, 0) > 0 for k in products)


def test_equal_segments_give_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_for("litert")
    assert adapter is not None
    result = compiled(tmp_path, "lightnet")
    (segment,) = result.manifest.segments
    made = []
    for home in ("1", "2"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
        build(adapter, (), result.folder / segment.file, "equal", place := tmp_path / f"{home}.tflite")
        made.append(place.read_bytes())
    assert made[0] == made[1]


def test_what_is_not_converted_is_named(tmp_path: Path) -> None:
    from small_models import parse

    path = tmp_path / "m.onnx"
    path.write_bytes(parse("g (float[4] x) => (float[4] y) { y = Erf(x) }").SerializeToString())
    adapter = adapter_for("litert")
    assert adapter is not None
    with pytest.raises(SegmentRefused, match=r"litert does not compile m\.onnx: .*Erf.*no Erf outside GELU"):
        build(adapter, (), path, "erf", tmp_path / "m.tflite")
    assert not (tmp_path / "m.tflite").exists()


def test_a_crash_of_litert_itself_is_one_message_and_nothing_is_written(tmp_path: Path) -> None:
    """While it loads a segment that was compiled, to verify the bundle."""
    work = tmp_path / "work"
    work.mkdir()
    save(parse("g (float[512,512] x) => (float[512,512] y) { y = MatMul(x, x) }"), work, "m.onnx")
    (work / "t.hw").write_text(ALL % "")
    before = (
        "import os, signal\nfrom autoglmc.compiler.devices.litert import adapter\n"
        "adapter.Compiled.__init__ = lambda *given, **named: os.kill(os.getpid(), signal.SIGSEGV)"
    )
    ended = run_command("m.onnx", "--target", "t.hw", "-q", "-o", "new", folder=work, before=before)
    assert (ended.code, ended.out, ended.left) == (1, "", ()), ended
    assert ended.err.startswith("error: loading segment 0 (xnn) ended the process (SIGSEGV)") and len(ended.err.splitlines()) == 2
