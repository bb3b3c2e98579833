"""`autoglmc compare`: every pair has a row, measured numbers stay apart, and what cannot be is said."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.bench.bench import bench
from autoglmc.compiler.compare.compare import Asked, compare, sizes_of
from autoglmc.compiler.compare.rows import Measured, Row, read_measured
from autoglmc.compiler.compare.table import HEAD, csv_of
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.quantities import time
from autoglmc.compiler.report.page.compared_page import compared_page

SMALL = "g (float[n,8] x) => (float[n,8] z) { y = Gelu(x) z = Softmax(y) }"
OTHER = "g (float[2,m] x) => (float[2,m] z) { z = Tanh(x) }"


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    return save(parse(SMALL, opset=20), tmp_path, "small.onnx"), save(parse(OTHER, opset=20), tmp_path, "other.onnx")


def test_every_pair_has_a_row_with_the_numbers_of_its_compilation(models: tuple[Path, Path], tmp_path: Path) -> None:
    targets = tuple(load_target(name) for name in ("x86_cpu", "tensor_g2"))
    told: list[str] = []
    rows = list(compare(Asked(models, targets, {"n": 4, "m": 6}, False, False, {}), told.append))
    assert [(row.model, row.target) for row in rows] == [(m.name, t.name) for m in models for t in targets]
    assert told[-1] == "other.onnx for tensor_g2 (4 of 4)"
    for row, (model, target) in zip(rows, [(m, t) for m in models for t in targets], strict=True):
        sizes = {"n": 4} if model is models[0] else {"m": 6}
        facts = compile_model(model, target, shapes=sizes, output=tmp_path / f"{row.model}.{row.target}", verify=False).as_json()
        assert row.latency == facts["latency"]["predicted"] and row.frames_per_second == pytest.approx(1 / row.latency)
        assert (row.peak_memory, row.package) == (facts["memory"]["peak"], facts["package"]["bytes"])
        assert dict(row.operators) == {d["name"]: d["operators"] for d in facts["devices"] if d["operators"]}
        assert row.chip == target.title and row.verified is None and not row.problem


def test_what_cannot_be_compiled_is_a_row(models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    files = [str(models[0]), str(tmp_path / "broken.onnx")]
    assert cli.run(["compare", *files, "--target", "x86_cpu", "--shape", "n=2", "--json"]) == 1
    found, broken = json.loads(capsys.readouterr().out)
    assert found["verified"] is True and not found["problem"]
    assert broken["problem"] and broken["latency"] is None
    assert cli.run(["compare", *files, "--target", "x86_cpu", "--shape", "n=2", "--no-verify"]) == 1
    said = capsys.readouterr()
    assert "no bundle: " in said.out and "not asked" in said.out and "Traceback" not in said.err


def test_a_size_that_no_model_uses_is_refused(models: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="k: no model has"):
        sizes_of(models, {"n": 1, "k": 2})
    assert sizes_of(models, {"n": 1, "x": (2, 8)}) == {models[0]: {"n": 1, "x": (2, 8)}, models[1]: {"x": (2, 8)}}


def test_measured_numbers_are_those_of_the_file_and_stay_apart(
    models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compile_model(models[0], "x86_cpu", shapes={"n": 4}, output=tmp_path / "b", verify=False)
    record, _ = bench(tmp_path / "b", warmup=1, repeat=3)
    (tmp_path / "here.json").write_bytes(msgspec.json.encode(record))
    arguments = [
        str(models[0]),
        "--target",
        "x86_cpu,tensor_g2",
        "--shape",
        "n=4",
        "--no-verify",
        "--measured",
        str(tmp_path / "here.json"),
    ]
    assert cli.run(["compare", *arguments, "--csv", str(tmp_path / "t.csv"), "--json"]) == 0
    here, there = json.loads(capsys.readouterr().out)
    assert [one["latency"] for one in here["measured"]] == [record.seconds.p50] and not there["measured"]
    assert here["latency"] == record.predicted
    lines = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert float(lines[0]["measured_latency"]) == record.seconds.p50 and float(lines[0]["predicted_latency"]) == record.predicted
    assert lines[1]["measured_latency"] == ""
    assert cli.run(["compare", *arguments]) == 0
    assert "measured: median" in capsys.readouterr().out


def test_what_a_stand_in_took_is_no_measurement(models: tuple[Path, Path], tmp_path: Path) -> None:
    compile_model(models[0], "x86_cpu", shapes={"n": 4}, output=tmp_path / "b", verify=False)
    record, _ = bench(tmp_path / "b", warmup=0, repeat=1)
    (tmp_path / "m.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(record, emulated=("0 (npu)",))))
    with pytest.raises(UsageError, match=r"0 \(npu\) ran on the CPU"):
        read_measured([tmp_path / "m.json"])
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(UsageError, match="no record"):
        read_measured([tmp_path / "m.json"])
    with pytest.raises(UsageError, match="cannot read"):
        read_measured([tmp_path / "none.json"])


def test_a_cell_is_never_a_formula() -> None:
    rows = [Row(model="=cmd.onnx", target="@x", chip="-1", problem="+1"), Row(model='a",b.onnx', target="t", chip="c\nd")]
    read = list(csv.reader(io.StringIO(csv_of(rows))))
    assert read[0] == list(HEAD) and read[1][:3] == ["'=cmd.onnx", "'@x", "'-1"] and read[1][-1] == "'+1"
    assert read[2][:3] == ['a",b.onnx', "t", "c\nd"]


def test_the_page_shows_every_row_and_keeps_measurements_apart(models: tuple[Path, Path], tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    measured = Measured(file="a.json", processor="p", latency=2e-3, frames_per_second=500.0, cold_start=0.1, memory=None)
    rows = [
        Row(model=bad, target="t", chip="chip", latency=1e-3, frames_per_second=1000.0, peak_memory=4096, energy=0.0, package=10,
            operators=(("cpu", 3),), verified=True, half_width=0.15, measured=(measured,)),
        Row(model=bad, target="u", chip="chip", latency=2e-3, frames_per_second=500.0, peak_memory=2048, package=20, verified=False),
        Row(model="other", target="t", chip="chip", problem="no device runs <Foo>"),
    ]  # fmt: skip
    page = compared_page(rows)
    assert bad not in page and "no device runs &lt;Foo&gt;" in page and page == compared_page(rows)
    predicted, apart = page.split("<h3>Measured</h3>")
    assert f"{time(1e-3)} ±15 %" in predicted and 'width="50"' in predicted and "p</td>" not in predicted
    assert "measured is 2.00 times it" in apart and "a.json" in apart


def test_the_page_is_written_beside_the_table(models: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compare", str(models[0]), "--target", "x86_cpu", "--shape", "n=2", "--no-verify", "--html"]
    assert cli.run([*command, str(tmp_path / "page.html")]) == 0
    assert "small.onnx" in (tmp_path / "page.html").read_text() and "wrote" in capsys.readouterr().err
    assert cli.run([*command, str(tmp_path / "page.txt")]) == 2 and "--html" in capsys.readouterr().err
