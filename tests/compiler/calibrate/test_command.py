"""`autoglmc calibrate` as somebody uses it who makes every mistake: told before the work, with the reason, and nothing half-written."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from synthetic_measurements import measured, truth_of

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

SLOW = """hw 1;

include "x86_cpu.hw";

target slow extends x86_cpu { limits { latency <= 5 ms; } }
amend &slow.cpu { peak fp32 1 GFLOPS; peak fp64 1 GFLOPS; peak int8 1 GOPS; }
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
    path = Path("raw.json" if device == "cpu" else f"{device}.json")
    path.write_bytes(raw_bytes(Measurement(device=device, runtime="made up 1.0", environment={}, segments=())))
    return str(path)


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


@pytest.mark.parametrize(("words", "why"), [
    ([], "no target to calibrate"),
    (["--target", "x86_cpu"], "nothing to fit"),
    (["--target", "x86_cpu", "model.onnx"], "nothing to fit"),
    (["--target", "x86_cpu", "--measure", "--profile", "p.csv", "--bundle", "b"], "exclude each other"),
    (["--target", "x86_cpu", "--profile", "p.csv"], "belong together"),
    (["--target", "x86_cpu", "--measure", "--latency", "8ms"], "--latency belongs to"),
    (["--target", "x86_cpu", "--raw", "raw.json", "--no-kernels"], "--no-kernels belongs to --measure"),
    (["--target", "x86_cpu", "--raw", "raw.json", "--shape", "batch=1"], "--shape belongs to --measure"),
    (["--target", "x86_cpu", "--measure", "--device", "gpu"], "x86_cpu has no device gpu"),
    (["--target", "workstation", "--raw", "raw.json", "--device", "gpu"], "was measured on cpu, not on gpu"),
    (["--target", "x86_cpu", "--raw", "dsp.json"], "was measured on a device dsp, which x86_cpu does not have"),
    (["--target", "x86_cpu", "--raw", "none.json"], "none.json is not a file"),
    (["--target", "x86_cpu", "--raw", "/dev/zero"], "/dev/zero is not a file"),
    (["--target", "x86_cpu", "--raw", "."], ". is not a file"),
    (["--target", "x86_cpu", "--raw", "raw.json", "--name", "a b"], "letters, digits and _ only"),
    (["--target", "x86_cpu", "--raw", "raw.json", "-o", "out.txt"], "written as .hw"),
    (["--target", "x86_cpu", "--raw", "raw.json", "-o", "none/out.hw"], "folder none does not exist"),
    (["--target", "x86_cpu", "--measure", "--raw", "out.txt"], "written as .json"),
    (["--convert", "hub.json", "--measure"], "--convert fits nothing"),
    (["--convert", "hub.json", "--raw", "raw.json"], "--convert fits nothing"),
    (["--convert", "/dev/zero"], "/dev/zero is not a file"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_the_work(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw_file()
    raw_file("dsp")
    assert why in refused(capsys, *words)


def test_the_calibrated_target_is_never_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor any file that it includes: the new target would extend itself."""
    Path("base.hw").write_text('hw 1;\n\ninclude "x86_cpu.hw";\n\ntarget base extends x86_cpu { limits { latency <= 5 ms; } }\n')
    Path("mine.hw").write_text('hw 1;\n\ninclude "base.hw";\n\ntarget mine extends base { limits { latency <= 4 ms; } }\n')
    kept = Path("base.hw").read_text(), Path("mine.hw").read_text()
    for output in ("base.hw", "mine.hw", "./mine.hw", str(Path("mine.hw").resolve())):
        said = refused(capsys, "--target", "mine.hw", "--raw", raw_file(), "-o", output)
        assert f"cannot write {Path(output)}" in said
    assert (Path("base.hw").read_text(), Path("mine.hw").read_text()) == kept


def test_rates_that_the_target_contradicts_are_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """What a target extends may state a lower peak than was measured: the file would be refused wherever it is used."""
    Path("slow.hw").write_text(SLOW)
    Path("raw.json").write_bytes(raw_bytes(measured(truth_of(1), 12, 0.01)))
    common = ["calibrate", "--target", "slow.hw", "--raw", "raw.json"]
    assert cli.run(common) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "FAILED the target contradicts what was measured" in said and "faster than" in said
    assert not Path("slow.measured.hw").exists()
    assert cli.run([*common, "--keep-failed"]) == 1
    assert Path("slow.measured.hw").exists()
