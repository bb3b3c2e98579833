"""What is written: weights once and aligned, the same bytes every time, nothing where something fails."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper
from slicing import ABSENT, cut, emit, facts
from small_models import parse

from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.bundle.manifest_json import read_manifest
from autoglmc.compiler.bundle.weights import LARGE, WeightsFile, externalised, tensors_of
from autoglmc.compiler.emit.emit import check_output
from autoglmc.compiler.errors import BundleError

MODEL = "g (float[4,8] x) => (float[4,8] y) { a = MatMul(x, w) b = Relu(a) c = MatMul(b, v) d = Add(c, s) y = Tanh(d) }"


def weighted(width: int = 64) -> onnx.ModelProto:
    """Two large weights of equal content, one of its own, one small."""
    model = parse(MODEL.replace("8]", f"{width}]"))
    large = np.arange(width * width, dtype=np.float32).reshape(width, width) / width**3
    arrays = {"w": large, "v": large.copy(), "s": np.ones(width, np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


def write(out: Path, width: int = 64) -> Manifest:
    compiled = cut(weighted(width), ("npu", "cpu"), runtimes={"npu": ABSENT}, modes=("copy",))
    return emit(compiled, facts(), out)


def entries(tensor: TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def test_the_folder_holds_what_the_manifest_lists(tmp_path: Path) -> None:
    manifest = write(tmp_path / "b")
    found = {str(p.relative_to(tmp_path / "b")) for p in (tmp_path / "b").rglob("*") if p.is_file()}
    assert found == {"manifest.json", *manifest.files}
    assert set(manifest.files) == {"segments/00-npu.onnx", "segments/01-cpu.onnx", "segments/weights.bin"}
    for name, record in manifest.files.items():
        data = (tmp_path / "b" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (record.size, record.sha256)
    assert read_manifest(tmp_path / "b") == manifest


def test_weights_are_written_once_aligned_and_whole(tmp_path: Path) -> None:
    write(tmp_path / "b")
    parts = [onnx.load_model(str(path), load_external_data=False) for path in sorted((tmp_path / "b" / "segments").glob("*.onnx"))]
    stored = {t.name: entries(t) for part in parts for t in part.graph.initializer if t.data_location == t.EXTERNAL}
    assert stored.keys() == {"w", "v"}
    assert stored["w"] == stored["v"] == {"location": "weights.bin", "offset": "0", "length": "16384"}
    assert (tmp_path / "b" / "segments" / "weights.bin").stat().st_size == 16384
    original = {t.name: numpy_helper.to_array(t) for t in weighted().graph.initializer}
    for part in parts:
        for tensor in part.graph.initializer:
            found = numpy_helper.to_array(tensor, str(tmp_path / "b" / "segments"))
            np.testing.assert_array_equal(found, original[tensor.name])


def test_pages_for_large_weights_lines_for_smaller_ones() -> None:
    stream = io.BytesIO()
    weights = WeightsFile(stream)
    added = (b"a" * 1030, b"b" * LARGE, b"c" * 1030, b"d" * (LARGE - 1), b"a" * 1030)
    assert [weights.add(data) for data in added] == [0, 4096, 4096 + LARGE, 4096 + LARGE + 1088, 0]
    data = stream.getvalue()
    assert weights.size == len(data) and weights.sha256 == hashlib.sha256(data).hexdigest()
    assert set(data[1030:4096]) == {0}


@given(st.lists(st.sampled_from((1024, 1030, 2000, 4096, 5000, 40_000, LARGE - 1, LARGE, LARGE + 1, LARGE + 4095)), max_size=12))
def test_small_weights_fill_the_gaps_between_large_ones(sizes: list[int]) -> None:
    tensors = [numpy_helper.from_array(np.full(size, number, np.int8), f"w{number}") for number, size in enumerate(sizes)]
    stream = io.BytesIO()
    weights = WeightsFile(stream)
    written = externalised(onnx.ModelProto(), weights, iter(tensors))
    data, ends, taken = stream.getvalue(), 0, 0
    assert [tensor.name for tensor in written.graph.initializer] == [tensor.name for tensor in tensors]
    for number, (size, tensor) in enumerate(zip(sizes, written.graph.initializer, strict=True)):
        facts = entries(tensor)
        offset = int(facts["offset"])
        assert offset % (4096 if size >= LARGE else 64) == 0 and int(facts["length"]) == size
        assert set(data[offset : offset + size]) == {number}
        ends, taken = max(ends, offset + size), taken + size
    assert ends == len(data) == weights.size
    large, small = sum(size >= LARGE for size in sizes), sum(size < LARGE for size in sizes)
    assert len(data) - taken <= large * 4095 + small * 63


def test_every_dtype_and_storage_form_survives(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT8, TensorProto.BOOL)
    arrays = [rng.integers(0, 2, 2048).astype(onnx.helper.tensor_dtype_to_np_dtype(kind)) for kind in kinds]
    tensors = [numpy_helper.from_array(a, f"raw{i}") for i, a in enumerate(arrays)]
    pairs = enumerate(zip(kinds, arrays, strict=True))
    tensors += [onnx.helper.make_tensor(f"typed{i}", kind, [2048], a.tolist()) for i, (kind, a) in pairs]
    tensors += [onnx.helper.make_tensor("text", TensorProto.STRING, [400], ["word"] * 400)]
    tensors += [onnx.helper.make_tensor("nibbles", TensorProto.INT4, [4096], [1] * 4096)]
    model = onnx.ModelProto()
    model.graph.initializer.extend(tensors)
    with (tmp_path / "weights.bin").open("wb") as stream:
        written = externalised(model, WeightsFile(stream))
    for before, after in zip(tensors, written.graph.initializer, strict=True):
        found = numpy_helper.to_array(after, str(tmp_path))
        np.testing.assert_array_equal(found, numpy_helper.to_array(before))
        assert (after.data_location == after.EXTERNAL) == (before.name not in ("text", "nibbles")), before.name


def test_bodies_share_the_weights_and_the_given_model_is_untouched(tmp_path: Path) -> None:
    model = parse("g (bool c, float[4] x) => (float[512] y) { y = If(c) <then_branch = t () => (float[512] p) { p = Identity(w) },"
                  " else_branch = e () => (float[512] q) { q = Neg(w) }> }")  # fmt: skip
    weight = numpy_helper.from_array(np.arange(512, dtype=np.float32), "w")
    for attribute in model.graph.node[0].attribute:
        attribute.g.initializer.append(weight)
    before = model.SerializeToString(deterministic=True)
    with (tmp_path / "weights.bin").open("wb") as stream:
        written = externalised(model, WeightsFile(stream))
    assert model.SerializeToString(deterministic=True) == before
    assert [t.data_location for t in tensors_of(written.graph) if t.name == "w"] == [TensorProto.EXTERNAL] * 2
    assert (tmp_path / "weights.bin").stat().st_size == 2048
    (tmp_path / "m.onnx").write_bytes(written.SerializeToString())
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    feed = {"c": np.array(False), "x": np.zeros(4, np.float32)}
    np.testing.assert_array_equal(session.run(None, feed)[0], -np.arange(512, dtype=np.float32))


def test_everything_but_weights_is_kept() -> None:
    model = weighted()
    model.domain, model.producer_name = "a.b", "me"
    model.metadata_props.add(key="k", value="v")
    model.functions.add(name="F", domain="local")
    model.graph.doc_string = "text"
    model.graph.node[0].metadata_props.add(key="kernel", value="0")
    copy = externalised(model, WeightsFile(io.BytesIO()))
    del model.graph.initializer[:], copy.graph.initializer[:]
    assert copy == model


WRITE = "import sys; sys.path.insert(0, sys.argv[2]); from compiler_emit import write; from pathlib import Path; write(Path(sys.argv[1]))"


def test_fresh_processes_write_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "compiler_emit.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    seen = []
    for seed in ("1", "2"):
        tests = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
        subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / f"b{seed}"), str(tmp_path)], env=environment, check=True)
        seen.append({str(p.relative_to(tmp_path / f"b{seed}")): p.read_bytes() for p in (tmp_path / f"b{seed}").rglob("*") if p.is_file()})
    assert seen[0] == seen[1]
    assert str(tmp_path).encode() not in b"".join(seen[0].values())


def test_a_bundle_with_files_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / "src").mkdir()
    (tmp_path / "b" / "src" / "main.c").write_text("int main;")
    with pytest.raises(BundleError, match="'src' does not belong to the bundle in it"):
        check_output(tmp_path / "b")
    with pytest.raises(BundleError, match="not an autoglmc bundle"):
        write(tmp_path / "b")
    assert (tmp_path / "b" / "src" / "main.c").read_text() == "int main;"


@pytest.mark.parametrize("out", [".", "..", "../.."])
def test_the_current_folder_is_not_replaced(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with pytest.raises(BundleError, match="the output is the current folder"):
        check_output(Path(out))


@pytest.mark.parametrize("length", [229, 255, 300])
def test_a_name_that_is_too_long_is_refused_in_a_sentence(length: int, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be written: File name too long"):
        check_output(tmp_path / ("n" * length))
    assert os.listdir(tmp_path) == []


def test_only_a_bundle_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "b")
    write(tmp_path / "b", width=32)
    assert read_manifest(tmp_path / "b").model.inputs[0].shape == (4, 32)
    (tmp_path / "b" / "manifest.json").write_text('{"tool": {"name": "autoglmc", "format": 99}}')
    check_output(tmp_path / "b")  # another version's bundle, or a damaged one, is still ours
    (tmp_path / "b" / "manifest.json").write_text('{"tool": {"name": "other"}}')
    with pytest.raises(BundleError, match="not an autoglmc bundle"):
        check_output(tmp_path / "b")
