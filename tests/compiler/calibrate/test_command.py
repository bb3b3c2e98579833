"""`autoglmc calibrate` as somebody uses it who makes every mistake: told before the work, with the reason, and nothing half-written."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from small_models import parse, save
from synthetic_measurements import measured, truth_of

from autoglmc.compiler import cli
from autoglmc.compiler.calibrate.fit_memory import MeasuredMemory
from autoglmc.compiler.calibrate.measure_here import MeasuredHere
from autoglmc.compiler.calibrate.raw_file import memory_in, raw_bytes
from autoglmc.compiler.calibrate.records import Measurement
from autoglmc.compiler.hw.load_target import analyse_target, load_target
from autoglmc.compiler.hw.remarks import REMARKS
from autoglmc.compiler.plan.memory_needs import Moment, Needs

MIB = 1 << 20

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


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def measured_here(*_: object, **__: object) -> MeasuredHere:
    return MeasuredHere(measurement=measured(truth_of(1), 6, 0.01), refused=(), memory=())


@pytest.mark.parametrize("kept", [True, False])
def test_an_interruption_says_what_is_there(
    kept: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Minutes of measuring are not lost where --raw keeps them."""
    monkeypatch.setattr("autoglmc.compiler.calibrate.fit.fit", interrupted)
    monkeypatch.setattr("autoglmc.compiler.calibrate.measure_here.measure_here", measured_here)
    monkeypatch.setattr("autoglmc.compiler.calibrate.measure_here.source_of", lambda device: None)
    raw = ["--raw", "raw.json"] if kept else []
    assert cli.run(["calibrate", "--target", "x86_cpu", "--measure", *raw]) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == (["raw.json"] if kept else [])
    if kept:
        assert said.startswith("interrupted: raw.json has what was measured, and no target was written") and "nothing" not in said
    else:
        assert said == "interrupted: nothing was written"


def test_what_was_there_before_is_not_said_to_be_written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoglmc.compiler.calibrate.fit.fit", interrupted)
    assert cli.run(["calibrate", "--target", "x86_cpu", "--raw", raw_file()]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted: nothing was written"


def test_a_fit_of_a_kept_measurement_has_its_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """The same file as right after measuring: the line of memory is in it."""
    bundles = [
        MeasuredMemory(
            f"m{k}", f"n{k}", Needs(((("Conv",), k * MIB),), (Moment("Relu", k * MIB, 0),)), 0, (5 + 2 * k) * MIB, (5 + 3 * k) * MIB
        )
        for k in range(1, 9)
    ]
    for name, memory in (("with", bundles), ("without", [])):
        Path(f"{name}.json").write_bytes(raw_bytes(measured(truth_of(1), 12, 0.01), memory))
        assert memory_in(Path(f"{name}.json")) == tuple(memory)
        cli.run(["calibrate", "--target", "x86_cpu", "--raw", f"{name}.json", "--name", name, "--keep-failed", "-q"])
    stated = load_target(Path("x86_cpu.with.hw")).device("cpu").calibration
    assert stated is not None and stated.memory is not None
    assert stated.memory.base == pytest.approx(5 * MIB, rel=0.02) and stated.memory.weights == pytest.approx(2.0, rel=0.02)
    bare = load_target(Path("x86_cpu.without.hw")).device("cpu").calibration
    assert bare is not None and bare.memory is None


def test_remarks_are_calibrate_s_and_check_s_and_one_line_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """How a calibration was made is no news at every compilation; what makes it wrong for this machine is."""
    lines = "".join(f"rate {name} 1 GFLOPS seen 1..2 MOP n {n};" for name, n in (("Conv", 2), ("Gemm", 3), ("MatMul", 4)))
    Path("few.hw").write_text(CALIBRATED.replace("rate     Conv, Gemm 65 GFLOPS seen 0.01..29 MOP n 231;", lines))
    save(parse("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }"), Path())
    assert cli.run(["why", "model.onnx", "--target", "few.hw"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "remark" in line] == [
        "calibration in few.hw: 6 remarks on how it was measured; `autoglmc check few.hw` lists them"
    ]
    assert not any("HW07" in line for line in told)
    cli.run(["check", "few.hw"])
    listed = "".join(capsys.readouterr())
    assert listed.count("warning[HW0704]") == listed.count("info[HW0707]") == 3
    Path("raw.json").write_bytes(raw_bytes(measured(truth_of(1), 1, 0.01)))
    cli.run(["calibrate", "--target", "x86_cpu", "--raw", "raw.json", "--keep-failed", "--json"])
    remarks = json.loads(capsys.readouterr().out)["remarks"]
    codes = [found for found in analyse_target(Path("x86_cpu.measured.hw")).diagnostics if found.code in REMARKS]
    assert len(remarks) == len(codes) > 0


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
