"""`autoglmc calibrate` as somebody uses it who makes every mistake: told before the work, with the reason, and nothing half-written."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from autoglmc.compiler import cli
from autoglmc.compiler.calibrate.raw_file import raw_bytes
from autoglmc.compiler.calibrate.records import Measurement

CALIBRATED = """hw 1;

include "x86_cpu.hw";

target board extends x86_cpu { limits { latency <= 5 ms; } }
amend &board.cpu {
  calibration @measured("made up 1.0, 1 thread") {
    holdout  82 % within 15 %, median 5 %, interval 18 %, models 41;
    rate     Conv, Gemm 65 GFLOPS seen 0.01..29 MOP n 231;
  }
}
"""


def _never(*_: object, **__: object) -> None:
    raise AssertionError("the work began")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of this file measures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("autoglmc.compiler.calibrate.measure_here.measure_here", _never)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says, which ends as a wrong usage and leaves no target."""
    before = sorted(Path().rglob("*"))
    assert cli.run(["calibrate", *words]) == 2
    assert sorted(Path().rglob("*")) == before
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def raw_file(device: str = "cpu") -> str:
    Path("raw.json").write_bytes(raw_bytes(Measurement(device=device, runtime="made up 1.0", environment={}, segments=())))
    return "raw.json"


@pytest.mark.parametrize("measured", [False, True])
def test_a_calibrated_device_is_refused_before_the_work(
    measured: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused after minutes was refused too late."""
    monkeypatch.setattr("autoglmc.compiler.calibrate.fit.fit", _never)
    Path("board.hw").write_text(CALIBRATED)
    given = ["--measure"] if measured else ["--raw", raw_file()]
    said = refused(capsys, "--target", "board.hw", *given)
    assert "board states what was measured of cpu already" in said and "calibrate the target that it extends" in said
