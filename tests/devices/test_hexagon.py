"""The real Hexagon compiler: whole exported models as one NPU segment, the same bytes from two processes, refusals as user errors."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from models import SHAPES, model_path
from small_models import parse

from autoglmc.compiler.bundle.blobs.blob_cache import SegmentRefused, build
from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.driver.compile_model import compile_model

WORDS = ("htp", "soc", "57", "arch", "75")
LACK = absence("qnn", WORDS)
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
ONE_SEGMENT = ("bert_tiny", "glm_tiny", "onnx_seeded_shufflenet", "ppocr2_cls", "ppocr4_rec", "magika_v3_3")
"""onnxruntime's own partitioning gives 1 to 4 NPU islands and up to 149 CPU operators for these, as exported."""


@pytest.mark.parametrize("name", ONE_SEGMENT)
def test_an_exported_model_is_one_npu_segment(name: str, tmp_path: Path) -> None:
    result = compile_model(model_path(name), "snapdragon_8gen3", shapes=SHAPES[name], output=tmp_path / "bundle", verify=False)
    npu = [segment for segment in result.manifest.segments if segment.device == "npu"]
    assert len(npu) == 1 and npu[0].blob is not None
    blob = onnx.load(result.folder / npu[0].blob)
    assert [node.op_type for node in blob.graph.node] == ["EPContext"], "the compiled file is one Hexagon graph and nothing else"
    assert npu[0].runtime.versions["soc_model"] == "57" and npu[0].runtime.versions["qnn_sdk"]


def test_two_processes_compile_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_for("qnn", WORDS)
    assert adapter is not None
    path = tmp_path / "00-npu.onnx"
    onnx.save(parse("gelu (float[1,16,32] x) => (float[1,16,32] y) { y = Gelu(x) }", opset=20), path)
    found = []
    for cache in ("one", "two"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        (tmp_path / cache).mkdir()
        build(adapter, WORDS, path, "key", place := tmp_path / cache / "00-npu.qnn.onnx")
        found.append(place.read_bytes())
    assert found[0] == found[1]


def test_what_the_compiler_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    adapter = adapter_for("qnn", WORDS)
    assert adapter is not None
    path = tmp_path / "00-npu.onnx"
    onnx.save(parse("erf (float[1,16] x) => (float[1,16] y) { y = Erf(x) }"), path)
    with pytest.raises(SegmentRefused, match=r"qnn does not compile 00-npu.onnx: \S"):
        build(adapter, WORDS, path, "key", tmp_path / "m.qnn.onnx")
    left = {entry.name for entry in tmp_path.iterdir()} - {"Microsoft"}  # of onnxruntime
    assert left == {path.name}, "nothing half-made is left"
