"""The screens of `run` and `verify`, whose numbers are measured, from results made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from golden import Golden
from msgspec.structs import replace
from rich.cells import cell_len

from autoglmc.compiler.bundle.confidence_record import ConfidenceRecord
from autoglmc.compiler.bundle.verification_record import SegmentVerdict, StageVerdict, not_compared
from autoglmc.compiler.report.ran import print_ran
from autoglmc.compiler.report.verified import emulated_cell, print_verified
from autoglmc.compiler.run.outputs import About, Outputs
from autoglmc.compiler.run.result import Pipelined, RunResult, SegmentMemory, StepTimes
from autoglmc.compiler.run.timeline import StepSpan, Timeline
from autoglmc.compiler.verify.compare import TensorDifference
from autoglmc.compiler.verify.expected import ExpectedOutput
from autoglmc.compiler.verify.report import VerifyReport

Screen = pytest.CaptureFixture[str]
LONG = "encoder/block_11/attention/self/query/kernel_quantized:0_projected_and_transposed"
OUTPUTS = Outputs({"softmax_11.tmp_0": np.zeros((1, 40, 6625), np.float32), LONG: np.zeros(3, np.int64)}, About((), (), ()), ())
SPANS = tuple(StepSpan(k // 2, k % 2, ("npu", "cpu")[k % 2], "run", k / 1e3, (k + 1) / 1e3) for k in range(8))
TIMELINE = Timeline(("copies", "npu", "cpu"), SPANS)


def step(what: str, device: str, runtime: str, hardware: str, bound: int, copied: int, best: float, median: float) -> StepTimes:
    return StepTimes(what=what, device=device, runtime=runtime, hardware=hardware, bound=bound, copied=copied, best=best, median=median)


AWAY = SegmentVerdict(
    index=0,
    device="npu",
    runtime="ort on CPU",
    judged="on the CPU in its place",
    reason="runtime coreml is not here: no Apple machine",
)
VERIFICATION = replace(not_compared(["npu"]), verified=True, reasons=(), segments=(AWAY,))
RAN = RunResult(
    outputs=OUTPUTS,
    seconds=(0.0098, 0.0082, 0.0083),
    steps=(
        step("convert x", "cpu -> npu", "host", "CPU", 0, 184320, 9e-6, 1e-5),
        step("run 0", "npu", "ort for coreml", "CPU", 1258291, 0, 0.00742, 0.00756),
        step(f"copy {LONG}", "npu -> cpu", "host", "CPU", 0, 1048576, 9e-5, 1e-4),
        step("run 1", "cpu", "qnn", "Hexagon HTP v75 (emulator)", 512, 0, 0.1, 1.2),
    ),
    copied=(),
    emulated=("0 (npu)",),
    zero_copy=2,
    resident=tuple(SegmentMemory(segment=f"{k} (npu)", runtime="ort for coreml", own=18769510, mapped=-9017753) for k in range(10)),
    every=(OUTPUTS,),
    timeline=TIMELINE,
    verification=VERIFICATION,
    pipelined=Pipelined(
        requests=4,
        seconds=0.02,
        sequential_seconds=0.033,
        generations=2,
        arena_bytes=4 << 20,
        fit=753,
        loaded_again=("0",),
        timeline=TIMELINE,
    ),
)


@pytest.mark.parametrize(
    ("half_width", "outside", "said"),
    [
        (0.18, 0.01, "8.10 ms ±18 %: the median is 2 % above it, within the interval"),
        (0.01, 0.01, "8.10 ms ±1 %: the median is 2 % above it, outside of the interval"),
        (None, 0.01, "8.10 ms, without an interval"),
        (None, 0.31, "8.10 ms, 31 % of it is outside what was measured"),
        (None, None, ""),
    ],
)
@pytest.mark.parametrize("emulated", [(), ("0 (npu)",)])
def test_a_run_has_its_prediction_beside_it(
    half_width: float | None, outside: float | None, said: str, emulated: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where devices were measured; an emulator's times are not held against it."""
    record = None
    if outside is not None:
        record = ConfidenceRecord(
            latency=0.0081, half_width=half_width, outside=outside, calibrated=outside <= 0.1, calibrations=(), uncovered=()
        )
    ran = dataclasses.replace(RAN, confidence=record, emulated=emulated)
    print_ran(ran)
    shown = capsys.readouterr().out
    assert ("predicted" in shown) == bool(said and not emulated) and (not said or bool(emulated) or said in shown)
    assert (ran.as_json()["confidence"] or {}).get("latency") == (0.0081 if record else None)


def difference(name: str, worst: float) -> TensorDifference:
    return TensorDifference(
        name=name, max_abs=worst, max_rel=worst * 14, cosine=0.9999, max_abs_over_std=worst * 100, mismatched=0, elements=10
    )


VERIFIED = VerifyReport(
    verified=True,
    reason="1 output on 3 input sets, within 0.0001 of a standard deviation or the model's own rounding",
    outputs=(difference("softmax_11.tmp_0", 1.61e-6), difference(LONG, 0.0)),
    boundaries=tuple(difference(f"p2o.Add.{k}", k * 1e-7) for k in range(12)),
    constant=(),
    unresponsive=(),
    inputs=("seed 0", "seed 1"),
    approximated=False,
    limits=(),
    emulated=("0 (npu)",),
    segments=(AWAY,),
    expected=(ExpectedOutput(name=LONG, bundle=difference(LONG, 2e-5), model=difference(LONG, 1e-5), tolerance=1e-3, reason=""),),
    stages=(StageVerdict(stage="simplified", verified=True, reason="within its rounding"),),
    not_exercised=("branch 'else' of If node 12", "upper bound 6 of Clip node 3"),
    runtime_faults=("MaxPool node 7: onnxruntime's optimiser makes it wrong",),
    unchecked=("Resize", "RoiAlign"),
)


def stripped(screen: Screen) -> str:
    return "".join(f"{line.rstrip()}\n" for line in screen.readouterr().out.splitlines())


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_the_screen_of_a_run(columns: int, golden: Golden, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_ran(RAN)
    text = stripped(capsys)
    golden(f"screens/run_{columns}.txt", text)
    assert max(map(cell_len, text.splitlines())) <= columns
    assert all(word in text for word in ("180.0 KiB", "0 (npu)", "1.2 MiB")), "no number is cut"


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_the_screen_of_a_verification(columns: int, golden: Golden, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_verified(VERIFIED.as_json())
    text = stripped(capsys)
    golden(f"screens/verify_{columns}.txt", text)
    assert max(map(cell_len, text.splitlines())) <= columns


def test_quiet_is_the_verdict_or_the_time(capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    print_verified(dataclasses.replace(VERIFIED, verified=False).as_json(), quiet=True)
    print_ran(RAN, quiet=True)
    verdict, total = stripped(capsys).splitlines()
    assert verdict.startswith("verify    NOT verified: 1 output on 3 input sets") and verdict.endswith("segment 0 (npu)]")
    assert total == "total     3 runs: best 8.20 ms, median 8.30 ms  [emulated on the CPU: segment 0 (npu)]"


def test_verbose_leaves_nothing_out(capsys: Screen) -> None:
    print_verified(VERIFIED.as_json())
    print_ran(RAN)
    brief = stripped(capsys)
    assert brief.count("p2o.Add.") == 10 and "2 more boundary tensors, none worse (-v)" in brief and "and 2 more (-v)" in brief
    print_verified(VERIFIED.as_json(), verbose=True)
    print_ran(RAN, verbose=True)
    full = stripped(capsys)
    assert full.count("p2o.Add.") == 12 and full.count("by ort for coreml: ") == 10 and "(-v)" not in full
    assert "seed 0, seed 1" in full


def test_a_table_names_few_emulated_segments_and_counts_many() -> None:
    assert emulated_cell(()) == ()
    assert emulated_cell(("0 (npu)", "2 (npu)")) == ("0 (npu), 2 (npu)",)
    assert emulated_cell(("0 (npu)", "2 (npu)", "4 (npu)")) == ("3 segments",)


def test_what_was_not_judged_on_its_runtime_comes_first(capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    where = "segment 0 (npu): runtime coreml is not here: no Apple machine; it was judged on the CPU in its place"
    print_verified(VERIFIED.as_json())
    assert stripped(capsys).splitlines()[0] == f"judged    {where}"
    print_ran(RAN)
    assert stripped(capsys).splitlines()[0] == f"compiled  {where}"
    print_ran(dataclasses.replace(RAN, verification=replace(VERIFICATION, verified=False, reasons=(where, "y is off"))))
    assert stripped(capsys).splitlines()[:2] == [f"compiled  NOT verified: {where}", "          NOT verified: y is off"]


def test_a_bundle_verified_on_its_runtimes_has_no_such_line(capsys: Screen) -> None:
    here = replace(AWAY, judged="on its runtime", reason="")
    print_ran(dataclasses.replace(RAN, verification=replace(VERIFICATION, segments=(here,))))
    print_verified(dataclasses.replace(VERIFIED, segments=(here,)).as_json())
    text = stripped(capsys)
    assert not any(line.startswith(("compiled", "judged")) for line in text.splitlines())
