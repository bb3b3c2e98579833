"""Weights that a compiled segment has in its compiled file are left out on request: it runs as compiled, and nowhere else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from make_target import make_cpu, make_device, make_link, make_target
from onnx import numpy_helper
from small_models import parse, save
from stub_adapter import OPERATORS, use_stub

from autoglmc.compiler.devices.adapter import Absent
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.emit.package import parts
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.targets.model import Runtime, Target

TEXT = """g (float[64,256] x) => (float[64,256] y) {
  a = MatMul(x, w) b = Add(a, own) c = Exp(b) d = Add(c, shared) e = Sin(d) f = MatMul(e, v) y = Max(f, shared)
}"""
X = {"x": np.random.default_rng(1).uniform(-1, 1, (64, 256)).astype(np.float32)}


def model() -> onnx.ModelProto:
    rng, made = np.random.default_rng(0), parse(TEXT)
    shapes = {"w": (256, 256), "v": (256, 256), "own": (64, 256), "shared": (64, 256)}
    arrays = {name: (rng.standard_normal(shape) / 16).astype(np.float32) for name, shape in shapes.items()}
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return made


def target() -> Target:
    npu = make_device("npu", (*OPERATORS, "Add"), adapter="stub", peak=1e13, dispatch=1e-9)
    npu = replace(npu, runtime=Runtime(adapter="stub", words=("fine",)))
    return make_target([npu, make_cpu(peak=1e7)], [make_link("npu", "cpu", handoff=1e-9)])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, CompileResult]]:
    folder = tmp_path_factory.mktemp("lean")
    path, asked = save(model(), folder), {"whole": {}, "lean": {"no_fallback": True}, "both": {"no_fallback": True, "compress": True}}
    with pytest.MonkeyPatch.context() as patch:
        use_stub(patch, folder)
        yield {name: compile_model(path, target(), output=folder / name, **options) for name, options in asked.items()}  # type: ignore[arg-type]


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_it_runs_as_compiled_and_is_smaller(results: dict[str, CompileResult]) -> None:
    expected = results["whole"].bundle.run(X)["y"]
    for result in results.values():
        assert result.verified and {segment.device for segment in result.manifest.segments} == {"npu", "cpu"}
        np.testing.assert_array_equal(result.bundle.run(X)["y"], expected)
        assert sum(parts(result.manifest).values()) == bytes_in(result.folder)
    own = 64 * 256 * 4
    saved = bytes_in(results["whole"].folder) - bytes_in(results["lean"].folder)
    assert own - 1024 < saved < own + 4096, "what the CPU reads too has to stay"
    assert bytes_in(results["both"].folder) < bytes_in(results["lean"].folder)
    assert any("are left out (64" in note for note in results["lean"].notes), results["lean"].notes
    assert not any("left out" in note for note in results["whole"].notes)


@pytest.mark.parametrize("name", ["lean", "both"])
def test_no_other_runtime_takes_its_place(name: str, results: dict[str, CompileResult], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = results[name].bundle
    with pytest.raises(BundleError, match=r"\(npu\) runs only as it was compiled, for .*stub 1: its weights were left out"):
        bundle.session(recompile=True)
    monkeypatch.setattr(
        "autoglmc.compiler.run.choose_adapters.absence", lambda adapter, words: Absent("it is not here") if adapter == "stub" else None
    )
    for emulate in (False, True):
        with pytest.raises(BundleError, match=r"its weights were left out \(--no-fallback\); it is not here"):
            bundle.session(emulate=emulate)
    results["whole"].bundle.session(emulate=True)


def test_a_compiled_file_still_stands_beside_its_segment_alone(results: dict[str, CompileResult], tmp_path: Path) -> None:
    whole, lean = results["whole"], results["lean"]
    segment = next(one for one in lean.manifest.segments if one.blob is not None)
    assert segment.blob is not None and (whole.folder / segment.blob).read_bytes() == (lean.folder / segment.blob).read_bytes()
    folder = Path(shutil.copytree(lean.folder, tmp_path / "b"))
    shutil.copyfile(whole.folder / segment.file, folder / segment.file)
    with pytest.raises(BundleError, match=r"has sha256|bytes"):
        Bundle.load(folder)


def test_without_a_compiled_segment_nothing_is_left_out(tmp_path: Path) -> None:
    path = save(model(), tmp_path)
    result = compile_model(path, make_target([make_cpu()], []), output=tmp_path / "b", no_fallback=True)
    assert "no weights are left out: no segment was compiled ahead of time" in result.notes
    assert not any(record.left_out for record in result.manifest.files.values())
