"""Ethos-U: segments compiled by Vela, within their memory, and right on LiteRT; what Vela leaves to the CPU, and files that crash it."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import half_nets
import numpy as np
import onnx
import pytest
import quantised_models
from integer_cases import CASES, model_of
from small_models import save

from autoglmc.compiler.bundle.blobs.crash import CompilerCrashed
from autoglmc.compiler.devices.adapter import CompilerFault
from autoglmc.compiler.devices.ethos_u.adapter import EthosUAdapter
from autoglmc.compiler.devices.ethos_u.configuration import configuration
from autoglmc.compiler.devices.ethos_u.vela import run_vela
from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import BundleError, Infeasible
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.plan.plan_model import Unplanned, plan_model
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.targets.stock import stock_path

WORDS = ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram")
LACK = absence("ethos_u", WORDS)
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")


def compiled(folder: Path, model: onnx.ModelProto, target: str | Path = "ethos_u55_256") -> CompileResult:
    path = quantised_models.quantised_as("channel", model, folder)
    return compile_model(path, target, output=folder / "bundle", emulate=True)


@pytest.mark.parametrize("name", ["resnet", "keyword"])
def test_a_network_runs_whole_between_its_borders_and_says_that_the_npu_did_not(name: str, tmp_path: Path) -> None:
    result = compiled(tmp_path, half_nets.NETS[name]())
    (npu,) = (segment for segment in result.manifest.segments if segment.device == "npu")
    rest = [node.op_type for s in result.manifest.segments if s.device == "cpu" for node in onnx.load(result.folder / s.file).graph.node]
    assert len(onnx.load(result.folder / npu.file).graph.node) > 15
    assert set(rest) <= {"QuantizeLinear", "DequantizeLinear", "Unsqueeze", "LogSoftmax"}, "integers stayed on the core"
    assert not isinstance(result.verification, str) and result.verification.verified
    assert "the Ethos-U55 itself was not run" in result.verification.reason
    session = Bundle.load(result.folder).session(emulate=True)
    assert any("the NPU itself was not run" in note for note in session.notes)


def test_what_vela_estimates_is_what_is_predicted(tmp_path: Path) -> None:
    result = compiled(tmp_path, half_nets.NETS["resnet"]())
    (npu,) = (segment for segment in result.manifest.segments if segment.device == "npu")
    assert npu.blob is not None
    report = json.loads((result.folder / npu.blob / "report.json").read_text())
    border = 32 * 32 * 3 + 10
    assert report["cpu_operators"] == [] and report["cycles"] > 10_000
    assert npu.predicted_seconds == pytest.approx(report["cycles"] / 500e6 + 50e-6)
    assert npu.peak_internal_bytes == report["peak_bytes"] - border


def test_a_board_with_too_little_memory_is_refused_by_velas_peak(tmp_path: Path) -> None:
    """Vela itself exceeds what it is given and says nothing."""
    text = stock_path("ethos_u55_256").read_text().replace("budget    512 KiB", "budget    16 KiB")
    board = tmp_path / "board.hw"
    board.write_text(text)
    path = quantised_models.quantised_as("channel", half_nets.NETS["resnet"](), tmp_path)
    found = plan_model(load_model(path, {}), load_target(board), 1.0, lambda name: nullcontext())
    assert isinstance(found, Unplanned) and isinstance(found.problem, Infeasible) and "sram" in found.problem.message


def test_the_plan_was_placed_by_estimates(tmp_path: Path) -> None:
    result = compiled(tmp_path, half_nets.NETS["resnet"]())
    latency = result.as_json()["latency"]
    assert latency["estimated"] > 0 and latency["rated"] > 0 and latency["estimated"] != latency["rated"]
    assert latency["predicted"] == pytest.approx(latency["placed"])
    assert latency["as_emitted"] == pytest.approx(1.0)
    assert any(note.startswith("placed by what the compiler of ethos_u says of ") for note in result.notes)


def test_a_part_that_vela_leaves_to_the_cpu_is_refused_by_name(tmp_path: Path) -> None:
    adapter = adapter_for("ethos_u", WORDS)
    assert adapter is not None
    floats = save(quantised_models.convolutions(), tmp_path)
    with pytest.raises(ValueError, match=r"Vela leaves \d+ of \d+ operators to the CPU: \w+ \(.*unsupported DataType Float32"):
        adapter.compile(floats, tmp_path / "made.ethos_u")
    assert not (tmp_path / "made.ethos_u").exists()


def tflite() -> bytes:
    from autoglmc.compiler.devices.tflite.emit import write_tflite

    return write_tflite(model_of(CASES["Conv"], "int8", np.random.default_rng(0)))


@pytest.mark.parametrize("content", [b"", b"no model at all", "half"])
def test_a_damaged_file_is_one_message(content: bytes | str) -> None:
    wanted = configuration(WORDS)
    assert wanted is not None
    data = content if isinstance(content, bytes) else tflite()[: len(tflite()) // 2]
    with pytest.raises((ValueError, CompilerFault), match=r"Vela (ended with (SIG\w+|exit code 1)|refuses the file)") as refused:
        run_vela(data, wanted)
    assert "\n" not in str(refused.value)


def test_time_and_memory_are_bounded() -> None:
    wanted = configuration(WORDS)
    assert wanted is not None
    with pytest.raises(CompilerFault, match=r"Vela did not finish within 0\.01 s"):
        run_vela(tflite(), wanted, longest=0.01)
    with pytest.raises(CompilerFault, match="Vela"):
        run_vela(tflite(), wanted, memory=1 << 20)


def test_equal_segments_give_equal_bytes() -> None:
    wanted = configuration(WORDS)
    assert wanted is not None
    assert run_vela(tflite(), wanted) == run_vela(tflite(), wanted)


VELA = """
import sys
if "autoglmc.compiler.devices.ethos_u.vela_child" in sys.orig_argv:
    import os, signal
    from ethosu.vela import vela
    def main(arguments):
        {what}
    vela.main = main
"""
ENDINGS = {
    "os.kill(os.getpid(), signal.SIGSEGV)": "Vela ended with SIGSEGV: no message",
    "raise KeyError('no such axis')": "Vela ended with exit code 1: KeyError: 'no such axis'",
    "os._exit(0)": "Vela's reports are not those of version 5.2",
    "raise RuntimeError('Compilation failed: an axis')": "Vela refuses the file: Compilation failed: an axis",
}


def broken_vela(what: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sitecustomize.py").write_text(VELA.format(what=what))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


@pytest.mark.parametrize("what", ENDINGS)
def test_a_crash_is_told_from_a_refusal(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_vela(what, tmp_path, monkeypatch)
    wanted = configuration(WORDS)
    assert wanted is not None
    with pytest.raises(ValueError if "refuses" in ENDINGS[what] else CompilerFault) as caught:
        run_vela(tflite(), wanted)
    assert str(caught.value).startswith(ENDINGS[what])


def test_a_crash_of_vela_ends_the_compilation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked while operators are placed; the core could take them all."""
    broken_vela(next(iter(ENDINGS)), tmp_path, monkeypatch)
    with pytest.raises(CompilerCrashed) as caught:
        compiled(tmp_path, half_nets.NETS["keyword"]())
    assert caught.value.message == "the compiler of ethos_u crashed: Vela ended with SIGSEGV: no message"
    assert caught.value.where.startswith("segment ") and " (npu), " in caught.value.where
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("bundle")) == ["bundle.repro"]
    kept = tmp_path / "cache" / "autoglmc" / "reports"
    assert not kept.exists() or not list(kept.iterdir())


@pytest.mark.parametrize(("name", "says"), [("cpu.tflite", "LiteRT"), ("report.json", "has no report.json of Vela")])
@pytest.mark.parametrize("damage", ["cut", "foreign", "gone"])
def test_a_damaged_blob_is_one_message(name: str, says: str, damage: str, tmp_path: Path) -> None:
    adapter = adapter_for("ethos_u", WORDS)
    assert isinstance(adapter, EthosUAdapter)
    path, blob = save(model_of(CASES["Conv"], "int8", np.random.default_rng(0)), tmp_path), tmp_path / "made.ethos_u"
    adapter.compile(path, blob)
    data = (blob / name).read_bytes()
    if damage == "gone":
        (blob / name).unlink()
    else:
        (blob / name).write_bytes(data[: len(data) // 2] if damage == "cut" else b"something else")
    with pytest.raises(BundleError) as refused:
        adapter.load(path, blob, [], []) if name == "cpu.tflite" else adapter.report(blob)
    said = f"{refused.value.message} {refused.value.help}"
    assert "\n" not in said and (says in said or "made.ethos_u has no cpu.tflite" in said)
