"""`autoglmc what-if` as it is typed: what it prints and writes, its JSON, its exit codes, Ctrl-C, and a cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from what_if_machines import SWEEP, TARGET, write_model, write_target

from autoglmc.compiler import cli, extras

Screen = pytest.CaptureFixture[str]
OUTCOME = {
    "latency",
    "confidence",
    "energy",
    "memory",
    "memories",
    "segments",
    "operators",
    "handoffs",
    "limits",
    "kept",
    "problem",
    "plan",
}


@pytest.fixture
def line(tmp_path: Path) -> list[str]:
    return ["what-if", str(write_model(tmp_path)), "--target", str(write_target(tmp_path))]


def as_json(arguments: list[str], capsys: Screen, code: int = 0) -> Any:
    assert cli.run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_before_and_after(line: list[str], capsys: Screen) -> None:
    facts = as_json([*line, "--set", "npu.dispatch=5ms", "--set", "latency=500us"], capsys)
    assert set(facts) == {
        "model", "sha256", "target", "digest", "objective", "settings", "before", "after", "same_plan", "moved",
    }  # fmt: skip
    assert set(facts["before"]) == set(facts["after"]) == OUTCOME
    assert facts["settings"][0] == {"path": "device.npu.dispatch", "before": "30 us", "after": "5 ms", "provenance": "proxy"}
    before, after = facts["before"], facts["after"]
    assert before["kept"] and before["operators"]["npu"] and not after["operators"]["npu"] and not facts["same_plan"]
    gone = sum(one["count"] for one in facts["moved"] if one["before"] == "npu")
    assert gone == before["operators"]["npu"]
    latency = next(one for one in after["limits"] if one["limit"] == "latency")
    assert latency["allowed"] == 5e-4 and latency["margin"] == pytest.approx(5e-4 - after["latency"])
    assert latency["holds"] is after["kept"] is (latency["margin"] >= 0)
    assert cli.run([*line, "--set", "npu.dispatch=5ms"]) == 0
    shown = capsys.readouterr().out
    assert "npu -> cpu" in shown and "device.npu.dispatch: 30 us (@proxy) -> 5 ms" in shown


def test_the_present_value_is_the_same_plan(line: list[str], capsys: Screen) -> None:
    facts = as_json([*line, "--set", "npu.dispatch=30us"], capsys)
    assert facts["same_plan"] and facts["before"] == facts["after"] and not facts["moved"]
    assert cli.run([*line, "--set", "npu.dispatch=30us", "-q"]) == 0
    first, _, second = capsys.readouterr().out.strip().partition(" -> ")
    assert first == second


def test_a_calibrated_target_has_intervals_everywhere(tmp_path: Path, capsys: Screen) -> None:
    from what_if_machines import MEASURED

    target = MEASURED.replace("latency <= 900 us; ", "")
    line = ["what-if", str(write_model(tmp_path)), "--target", str(write_target(tmp_path, target)), "--set", "partitions.npu=1"]
    line += ["--set", "npu.dispatch=5ms"]
    facts = as_json([*line, "--set", "cpu.rate.MatMul.2=19.5GFLOPS", "--set", "latency=900us"], capsys)
    after, latency = facts["after"], facts["after"]["latency"]
    assert after["confidence"]["half_width"] == pytest.approx(0.18, abs=0.02) and after["confidence"]["latency"] == latency
    assert cli.run([*line, "-q"]) == 0
    assert re.fullmatch(r"[\d.]+ us( ±\d+ %)? -> [\d.]+ us ±1[89] %\n", capsys.readouterr().out)


def test_a_change_within_the_interval_is_said_to_be(tmp_path: Path, capsys: Screen) -> None:
    """Nothing beyond it: twice the time is a difference."""
    from what_if_machines import MEASURED

    lonely = MEASURED[: MEASURED.index("  device npu")] + MEASURED[MEASURED.index("  device cpu") : MEASURED.index("  link")] + "}\n"
    target = write_target(tmp_path, lonely.replace("shared npu, cpu", "shared cpu"))
    line = ["what-if", str(write_model(tmp_path)), "--target", str(target)]
    for rate, near in (("19.5", True), ("8", False)):
        more = ["--set", f"cpu.rate.MatMul.2={rate}GFLOPS", "--set", "latency=1s"]
        facts = as_json([*line, *more], capsys)
        was, now = facts["before"], facts["after"]
        width = now["confidence"]["half_width"]
        assert width is not None and (abs(now["latency"] - was["latency"]) <= width * now["latency"]) == near
        assert cli.run([*line, *more]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert ("is within what is known" in shown) == near and "90 % of models are within the interval" in shown
        assert shown.count("±") >= 2
    bound = facts["before"]["latency"] * 1.05
    assert cli.run([*line, "--set", f"latency={bound * 1e6:.0f}us"]) == 0
    assert "UNPROVEN: the interval reaches" in " ".join(capsys.readouterr().out.split())
    swept = as_json([*line, "--sweep", "cpu.rate.MatMul.2=10GFLOPS..20GFLOPS:3", "--set", f"latency={bound * 1e6:.0f}us"], capsys)
    rows = swept["rows"]
    assert [row["half_width"] for row in rows] == [pytest.approx(0.18, abs=0.02)] * 3 and all(row["outside"] < 0.1 for row in rows)
    assert [row["unproven"] for row in rows] == [None, None, "latency"]
    assert cli.run([*line, "--sweep", "cpu.rate.MatMul.2=10GFLOPS..20GFLOPS:3", "--set", f"latency={bound * 1e6:.0f}us"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("±") == 3 and "latency unproven" in shown


def test_a_plot_has_a_band_where_there_is_an_interval(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from what_if_machines import MEASURED

    for name, text in (("measured", MEASURED), ("plain", TARGET)):
        write_target(tmp_path, text)
        line = ["what-if", str(write_model(tmp_path)), "--target", str(tmp_path / "board.hw"), "-q"]
        assert cli.run([*line, "--sweep", "npu.dispatch=3ms..4ms:2", "--plot", str(tmp_path / f"{name}.svg")]) == 0
    drawn, plain = ((tmp_path / f"{name}.svg").read_text() for name in ("measured", "plain"))
    assert "90 % of models" in drawn and "90 % of models" not in plain
    assert drawn.count("FillBetween") == 1 and not plain.count("FillBetween")


def test_the_list_names_every_number_and_where_it_is_from(line: list[str], capsys: Screen) -> None:
    rows = {row["short"]: row for row in as_json(["what-if", "--target", line[-1], "--list"], capsys)}
    assert rows["npu.dispatch"]["provenance"] == "proxy" and rows["npu.dispatch"]["text"] == "30 us"
    assert rows["npu.peak.fp32"]["provenance"] == "guess" and rows["cpu.sustained"]["provenance"] == "default"
    assert rows["memory.peak"]["value"] is None
    assert cli.run(["what-if", "--target", line[-1], "--list"]) == 0
    assert "@proxy, board.hw:6" in capsys.readouterr().out


def test_a_sweep_is_printed_drawn_and_kept(line: list[str], tmp_path: Path, capsys: Screen) -> None:
    saved, first, second = tmp_path / "r.parquet", tmp_path / "a.svg", tmp_path / "b.svg"
    arguments = [*line, "--sweep", SWEEP, "--save", str(saved)]
    assert cli.run([*arguments, "--plot", str(first)]) == 0
    shown = capsys.readouterr().out
    assert "npu.dispatch between" in shown and "*" in shown and "2 ms" in shown
    facts = as_json([*arguments, "--plot", str(second)], capsys)
    assert set(facts) == {"settings", "axes", "rows", "breaks", "new"} and not facts["new"]
    assert first.read_bytes() == second.read_bytes() and b"device.npu.dispatch, ms" in first.read_bytes()
    assert cli.run([*arguments, "--plot", str(tmp_path / "c.png")]) == 0
    resumed, _, again = capsys.readouterr().out.rpartition("saved ")
    assert resumed == shown.rpartition("saved ")[0] and "0 plans of this run" in again
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    grid = [*line, "--sweep", "npu.dispatch=1us..2ms:2", "--sweep", "cpu.dispatch=1us..9us:2", "--plot", str(tmp_path / "d.svg")]
    assert len(as_json(grid, capsys)["rows"]) == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "nothing is set"),
        (["--set", "npu.dispatch"], "PATH=VALUE"),
        (["--set", "npu.dispatch=5MB"], "unit of size"),
        (["--sweep", "npu.dispatch=9us..2us"], "nothing"),
        (["--sweep", "npu.runtime=9..20"], "no number"),
        (["--set", "npu.dispatch=5us", "--plot", "x.svg"], "--plot needs a --sweep"),
        (["--sweep", SWEEP, "--plot", "x.gif"], "written as .svg or .png"),
        (["--sweep", SWEEP, "--save", "x.csv"], "written as .parquet"),
        (["--sweep", SWEEP, "--cluster", "here"], "no address of a Dask scheduler"),
        (["--sweep", SWEEP, "--cluster", "tcp://h:1", "--jobs", "2"], "exclude each other"),
        (["--sweep", SWEEP, "--sweep", "cpu.dispatch=1us..2us", "--sweep", "cpu.launch=1us..2us"], "3 sweeps"),
        (["--sweep", SWEEP, "--shape", "batch=1"], "no dim or input"),
    ],
)
def test_what_is_wrong_exits_with_2(more: list[str], said: str, line: list[str], capsys: Screen) -> None:
    assert cli.run([*line, *more]) == 2
    assert said in capsys.readouterr().err


def test_without_a_model_or_a_target(line: list[str], capsys: Screen) -> None:
    assert cli.run(["what-if", "--target", line[-1], "--set", "npu.dispatch=5us"]) == 2
    assert "no model" in capsys.readouterr().err
    assert cli.run([*line[:-1], ",", "--set", "npu.dispatch=5us"]) == 2


@pytest.mark.parametrize(
    ("package", "more", "extra"),
    [("pyarrow", ["--save", "r.parquet"], "sweep"), ("matplotlib", ["--plot", "r.svg"], "sweep"),
     ("distributed", ["--cluster", "tcp://127.0.0.1:8786"], "cluster")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(
    package: str, more: list[str], extra: str, line: list[str], capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert cli.run([*line, "--sweep", SWEEP, *more]) == 1
    assert f"pip install 'autoglmc[{extra}]'" in capsys.readouterr().err
    assert package in extras.EXTRAS


def test_nobody_answers(line: list[str], capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoglmc.compiler.what_if import cluster

    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "SECONDS", 1)
    assert cli.run([*line, "--sweep", SWEEP, "--cluster", "tcp://127.0.0.1:1"]) == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err


def test_a_cluster_gives_the_same(line: list[str], capsys: Screen) -> None:
    distributed = pytest.importorskip("distributed")
    here = as_json([*line, "--sweep", SWEEP], capsys)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None) as cluster:
        assert as_json([*line, "--sweep", SWEEP, "--cluster", cluster.scheduler_address], capsys) == here
    with distributed.LocalCluster(n_workers=0, processes=False, protocol="tcp://", dashboard_address=None) as empty:
        from autoglmc.compiler.what_if.cluster import Cluster, Unreachable

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Unreachable, match="has no worker"):
            patch.setattr("autoglmc.compiler.what_if.cluster.SECONDS", 1)
            Cluster(empty.scheduler_address)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nobody watches")
def test_ctrl_c_keeps_what_was_done_and_leaves_no_process(line: list[str], tmp_path: Path) -> None:
    saved = tmp_path / "r.parquet"
    program = "from autoglmc.compiler.cli import main; main()"
    arguments = [*line, "--sweep", "npu.dispatch=1us..2ms:9000", "--jobs", "2", "--save", str(saved)]
    begun = subprocess.Popen([sys.executable, "-c", program, *arguments], stderr=subprocess.PIPE, text=True)
    parts = saved.with_name("r.parquet.parts")
    deadline = time.monotonic() + 120
    while not list(parts.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.1)
    begun.send_signal(signal.SIGINT)
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 130 and "the same command goes on from there" in said
    assert saved.exists() and not parts.exists()
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(saved)
    assert 0 < rows.num_rows < 9000 and not any(rows["error"].to_pylist())
