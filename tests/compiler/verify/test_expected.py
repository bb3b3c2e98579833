"""`--expect`: what the source framework computes is the measure, and the export may be what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import parse, save

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.errors import UsageError, VerifyError
from autoglmc.compiler.verify.expected import HALF, SINGLE, check_expected, hold_expected
from autoglmc.compiler.verify.report import VerifyReport

Screen = pytest.CaptureFixture[str]
TWO = "g (float[4] x) => (float[4] y, int64[4] n) { y = Tanh(x) a = Abs(x) b = Ceil(a) n = Cast<to=7>(b) }"
X = np.array([-1.5, 0.25, 0.5, 3.0], np.float32)
RIGHT: dict[str, Any] = {"y": np.tanh(X), "n": np.array([2, 1, 1, 3])}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(parse(TWO), tmp_path)


def held(model: Path, expect: dict[str, Any]) -> VerifyReport:
    bundle = autoglmc.compile(model, "x86_cpu", output=model.parent / "b")
    return autoglmc.verify(model, bundle, inputs={"x": X}, expect=expect)


def test_what_is_as_expected_is_verified_and_says_by_how_much(model: Path) -> None:
    report = held(model, RIGHT)
    assert report.verified and [one.name for one in report.expected] == ["y", "n"]
    assert "as expected on the given inputs (y: off by " in report.reason and "the untouched model's by" in report.reason
    assert all(one.bundle.max_abs_over_std < 1e-5 and not one.reason for one in report.expected)


@pytest.mark.parametrize(("name", "index", "by"), [("y", 1, 0.01), ("y", 3, np.nan), ("n", 0, 1)])
def test_an_export_that_differs_from_its_source_is_not_verified(name: str, index: int, by: float, model: Path) -> None:
    expect = {key: value.copy() for key, value in RIGHT.items()}
    expect[name][index] += by if name == "y" else int(by)
    report = held(model, expect)
    assert not report.verified and not report.agrees, "the bundle equals its model, which is wrong"
    (reason,) = report.reasons
    assert reason.startswith(f"output {name} is not what was expected: ") and reason.endswith("the export differs from its source")
    with pytest.raises(VerifyError, match=f"output {name} is not what was expected") as failure:
        autoglmc.compile(model, "x86_cpu", output=model.parent / "c", inputs={"x": X}, expect=expect)
    assert not (model.parent / "c").exists() and "export" in failure.value.help


def test_a_bundle_that_alone_differs_is_told_apart() -> None:
    off = {"y": RIGHT["y"] + np.float32(0.01)}
    (one,) = hold_expected({"y": RIGHT["y"]}, {"y": RIGHT["y"]}, off, ("y",), coarse=False)
    assert one.reason.endswith("where 0.001 is allowed; the untouched model's is within that") and "off by 0.01" in one.reason
    (coarse,) = hold_expected({"y": RIGHT["y"]}, {"y": RIGHT["y"]}, off, ("y",), coarse=True)
    assert coarse.reason == "", "a device that computes in fp16 is judged against the model, which is as expected"
    (turned,) = hold_expected({"y": RIGHT["y"]}, {"y": RIGHT["y"]}, {"y": -RIGHT["y"]}, ("y",), coarse=True)
    assert turned.reason
    (both,) = hold_expected({"y": RIGHT["y"]}, off, off, ("y",), coarse=True)
    assert both.reason.endswith("the export differs from its source")


def test_halves_are_allowed_what_their_bits_are() -> None:
    half = {"y": RIGHT["y"].astype(np.float16)}
    std = float(half["y"].astype(float).std())
    for share, fine in ((0.5, True), (2.0, False)):
        moved = {"y": half["y"] + np.float16(HALF * std * share)}
        (one,) = hold_expected(half, half, moved, ("y",), coarse=False)
        assert one.tolerance == HALF > SINGLE and (one.reason == "") == fine


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y": None}, "what is expected lacks the output 'y'"),
        ({"z": X}, "the model has no output 'z'"),
        ({"y": X[None]}, r"what is expected of output 'y' has shape [1, 4], the model computes [4]"),
        ({"y": X.astype(np.float64)}, "what is expected of output 'y' is float64, the model computes float32"),
        ({"n": np.zeros(4, np.int32)}, "what is expected of output 'n' is int32, the model computes int64"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], says: str) -> None:
    expect = {name: value for name, value in {**RIGHT, **change}.items() if value is not None}
    with pytest.raises(UsageError) as failure:
        check_expected(RIGHT, expect)
    assert says in failure.value.message and failure.value.help


def test_a_sequence_is_refused() -> None:
    with pytest.raises(UsageError, match="is a sequence"):
        check_expected({"y": [X]}, {"y": X})


def test_strings_are_compared_whatever_numpy_calls_them() -> None:
    ours, theirs = {"y": np.array(["a", "b"], object)}, {"y": np.array(["a", "b"])}
    assert not hold_expected(theirs, ours, ours, ("y",), coarse=False)[0].reason
    assert hold_expected({"y": np.array(["a", "c"])}, ours, ours, ("y",), coarse=False)[0].reason


def test_the_command_line(model: Path, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=X)
    np.savez("y.npz", **RIGHT)
    np.savez("z.npz", **{**RIGHT, "y": -RIGHT["y"]})
    compile_, verify = [str(model), "--target", "x86_cpu", "-o", "b"], ["verify", str(model), "b"]
    given = ["--inputs", "x.npz", "--expect", "y.npz"]
    assert cli.run([*compile_, *given]) == 0
    assert "bundle to expected y" in (shown := capsys.readouterr().out) and "model to expected n" in shown
    assert cli.run([*verify, *given, "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["expected"]] == ["y", "n"]
    assert cli.run([*verify, "--inputs", "x.npz", "--expect", "z.npz"]) == 1
    assert "NOT verified: output y is not what was expected" in capsys.readouterr().out
    for arguments in ([*verify, "--expect", "y.npz"], [*compile_, "--expect", "y.npz"], [*compile_, *given, "--no-verify"]):
        assert cli.run(arguments) == 2
        assert "expect" in capsys.readouterr().err
