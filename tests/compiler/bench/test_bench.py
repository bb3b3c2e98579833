"""`autoglmc bench`: what it measures, writes, and says where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from small_models import parse

from autoglmc.compiler import cli
from autoglmc.compiler.bench.bench import bench
from autoglmc.compiler.bench.record import FORMAT, BenchRecord, read_record, times_of
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import BundleError, UserError

SCHEMA = Path(__file__).parents[3] / "docs" / "bench.schema.json"
MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = parse("g (float[4,8] x, int64[2] i) => (float[2,8] z) { y = Gelu(x) g = Gather(y, i) z = Softmax(g) }", opset=20)
    folder = tmp_path_factory.mktemp("bench") / "b"
    compile_model(model, "x86_cpu", output=folder, verify=False)
    return folder


def test_a_record_holds_what_was_measured(bundle: Path) -> None:
    record, _ = bench(bundle, warmup=1, repeat=7)
    assert (record.format, record.target, record.repeat, record.warmup, record.inputs) == (FORMAT, "x86_cpu", 7, 1, "zeros")
    assert 0 < record.seconds.best <= record.seconds.p50 <= record.seconds.p90 <= record.seconds.p99
    assert record.frames_per_second == pytest.approx(1 / record.seconds.p50)
    assert record.cold_start.total == pytest.approx(record.cold_start.load + record.cold_start.first_run)
    assert record.cold_start.first_run > 0 and record.cold_start.load > 0
    assert [(one.segment, one.device, one.runtime) for one in record.segments] == [(0, "cpu", "ort")]
    assert record.segments[0].seconds.best < record.seconds.best  # a run is more than its segment
    assert not record.emulated and not record.verified
    assert record.predicted is not None and record.predicted > 0


def test_memory_is_that_of_the_bundle(tmp_path: Path) -> None:
    """Weights of 32 MiB, which are mapped or repacked, count; those of a model without any do not."""
    found = {}
    for name, rows in (("large", 4096), ("small", 8)):
        model = parse(f"g (float[1,{rows}] x) => (float[1,2048] z) {{ z = MatMul(x, w) }}", opset=20)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((rows, 2048), np.float32), "w"))
        compile_model(model, "x86_cpu", output=tmp_path / name, verify=False)
        found[name] = bench(tmp_path / name, warmup=0, repeat=1)[0].memory
    assert found["large"] is not None and found["small"] is not None
    more = found["large"].private + found["large"].mapped - found["small"].private - found["small"].mapped
    assert 30 << 20 < more < 3 * (32 << 20)


def test_a_stand_in_is_named_in_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compile_model(MODELS / "lightnet.onnx", "a16", shapes={"batch": 1}, output=tmp_path / "b", verify=False)
    place = str(tmp_path / "b")
    assert cli.run(["bench", place, "--repeat", "2"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "--emulate" in said
    assert cli.run(["bench", place, "--repeat", "2", "--emulate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    begun = [k for k, line in enumerate(lines) if line.startswith(("latency", "speed", "cold", "memory"))]
    for first, last in zip(begun, (*begun[1:], len(lines)), strict=True):
        assert "emulated on the CPU: segment 0 (npu)" in " ".join(" ".join(lines[first:last]).split())
    assert "did not run it" in " ".join(" ".join(lines).split())


def test_the_file_is_the_screen_for_machines_and_follows_its_schema(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["bench", str(bundle), "--repeat", "3", "--record", str(tmp_path / "m.json"), "--json"]) == 0
    printed, kept = json.loads(capsys.readouterr().out), json.loads((tmp_path / "m.json").read_text())
    assert printed == kept
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(kept)
    assert read_record((tmp_path / "m.json").read_bytes()).repeat == 3


@pytest.mark.parametrize(
    ("text", "said"), [(b"{}", "no record"), (b"[", "no record"), (b"\xff", "no record"), (b"null", "no record"), (b"", "no record")]
)
def test_another_file_is_no_record(text: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_record(text)


def test_another_format_is_said(bundle: Path) -> None:
    record, _ = bench(bundle, warmup=0, repeat=1)
    other = msgspec.structs.replace(record, format=FORMAT + 1)
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}"):
        read_record(msgspec.json.encode(other))
    assert msgspec.json.decode(msgspec.json.encode(record), type=BenchRecord) == record


def test_inputs_that_the_model_refuses_are_the_message(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 8), np.float32), i=np.array([0, 9], np.int64))
    assert cli.run(["bench", str(bundle), "--input", str(tmp_path / "x.npz")]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "9" in said
    with pytest.raises(UserError, match="float32"):
        bench(bundle, {"x": np.zeros((4, 8)), "i": np.zeros(2, np.int64)})


def test_a_process_that_dies_is_told(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoglmc.compiler.bench.bench.PYTHON", ("/bin/false",))
    with pytest.raises(BundleError, match="ended"):
        bench(bundle)


@given(st.lists(st.floats(1e-6, 10.0), min_size=1))
def test_quantiles_are_times_that_were_measured(seconds: list[float]) -> None:
    found = times_of(seconds)
    assert {found.best, found.p50, found.p90, found.p99} <= set(seconds)
    assert found.best == min(seconds)
    for value, share in ((found.p50, 0.5), (found.p90, 0.9), (found.p99, 0.99)):
        assert sum(one <= value for one in seconds) >= share * len(seconds)
