"""`autoglmc targets`: what was measured of a target stands below it, in its line for other programs, and in --json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calibrated_targets import ORIGIN, calibration, rate
from hypothesis import given
from hypothesis import strategies as st
from what_if_machines import MEASURED, TARGET, write_target

from autoglmc.compiler import cli
from autoglmc.compiler.calibrate.fit_write import calibration_text
from autoglmc.compiler.hw.load_target import target_summaries
from autoglmc.compiler.report.targets import print_targets
from autoglmc.targets.calibration import Holdout

SHARES = st.integers(1, 99).map(lambda percent: percent / 100)


def test_the_line_and_the_json_of_a_calibration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write_target(tmp_path, MEASURED))
    said = "cpu with onnxruntime 1.32.0, 2026-11-27: 41 networks held out, 82 % within 15 %, median 5 %, 90 % within ±18 %"
    assert cli.run(["targets", file]) == 0
    assert capsys.readouterr().out.strip().endswith(said)
    assert cli.run(["targets", file, "x86_cpu", "--json"]) == 0
    mine, stock = json.loads(capsys.readouterr().out)["targets"]
    assert stock["calibrations"] == [] and (mine["name"], mine["file"]) == ("board", file)
    [one] = mine["calibrations"]
    assert (one["device"], one["version"], one["networks"], one["date"]) == ("cpu", "onnxruntime 1.32.0", 41, "2026-11-27")
    assert (one["within"], one["median"], one["interval"]) == ([[0.82, 0.15]], 0.05, 0.18)
    from dataclasses import asdict

    print_targets([asdict(one) for one in target_summaries([Path(file)])], 100)
    assert f"measured board: {said}" in " ".join(capsys.readouterr().out.split())


def test_a_file_that_is_not_there_or_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["targets", "no_such.hw"]) == 2
    assert "there is no target 'no_such.hw'" in capsys.readouterr().err
    assert cli.run(["targets", str(write_target(tmp_path, "hw 1; target t { }"))]) != 0
    assert "error" in capsys.readouterr().err


@given(
    st.lists(st.tuples(SHARES, SHARES), max_size=3), st.none() | SHARES, st.none() | SHARES, st.none() | st.integers(1, 90), st.booleans()
)
def test_what_is_not_stated_is_not_shown(
    within: list[tuple[float, float]], median: float | None, interval: float | None, models: int | None, dated: bool
) -> None:
    """And what is stated is, whichever figures a file has."""
    import contextlib
    import io
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    figures = bool(within) or not (median is None and interval is None and models is None)
    holdout = Holdout(within=tuple(within), median=median, interval=interval, models=models, origin=ORIGIN) if figures else None
    note = "a lab, 2026-01-02" if dated else "a lab"
    block = calibration_text(calibration(rate("MatMul", value=2e9), holdout=holdout, note=note, version="ort 1.2"))
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
        file = write_target(Path(folder), TARGET.replace("peak fp32 30 GFLOPS;", f"peak fp32 30 GFLOPS; {block}"))
        print_targets([asdict(one) for one in target_summaries([file])], 0)
    line = out.getvalue()
    assert ("no network was held out" in line) == (not figures) and ("2026-01-02" in line) == dated
    assert ("median" in line) == (median is not None) and ("±" in line) == (interval is not None) and "None" not in line
    assert line.count(" within ") == len(within) + (interval is not None)
    assert models is None or f"{models} network{'' if models == 1 else 's'} held out" in line
