"""`--accuracy`: read as it is written, measured by the bundle's own run, and kept or refused; scripts of the user's are never trusted."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.activity import TimeLimit
from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.compiler.bundle.manifest import LimitRecord
from autoglmc.compiler.driver.smaller.accuracy_rounds import GENTLE, HARSH, MOST_ROUNDS, looser, tighter
from autoglmc.compiler.driver.verdict import AccuracyMissed
from autoglmc.compiler.errors import Infeasible, UsageError, UserError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.precision import accuracy_check as checking
from autoglmc.compiler.precision.asked_accuracy import asked_accuracy, cosine_text
from autoglmc.compiler.precision.interval import mean_interval
from autoglmc.compiler.run.bundle import Bundle

NET = """g (float[1,64] x) => (float[1,8] y) {
    a = MatMul(x, w0)  b = Relu(a)  c = MatMul(b, w1)  d = Relu(c)  e = MatMul(d, w2)  f = Relu(e)  y = MatMul(f, w3) }"""
SCRIPT = """
import numpy
def samples():
    generator = numpy.random.default_rng(7)
    return [{"x": generator.standard_normal((1, 64)).astype(numpy.float32)} for _ in range(40)]
def weights(run):
    return numpy.mean([run(one)["y"] for one in samples()])
WORDS = []
FIRST = []
def agree(run):
    found = [run(one)["y"] for one in samples()]
    FIRST.extend([] if FIRST else found)
    return [float(abs(a - b).max() <= TOL) for a, b in zip(found, FIRST)]
def error(bundle, model):
    return float(max(abs(bundle(one)["y"] - model(one)["y"]).max() for one in samples()))
TOL = 0.02
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made, generator = parse(NET), np.random.default_rng(0)
    shapes = {"w0": (64, 512), "w1": (512, 512), "w2": (512, 64), "w3": (64, 8)}
    arrays = {name: (generator.standard_normal(shape) / math.sqrt(shape[0])).astype(np.float32) for name, shape in shapes.items()}
    made.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return save(made, tmp_path, "net.onnx")


@pytest.fixture
def data() -> list[dict[str, np.ndarray]]:
    return [{"x": row[None]} for row in np.random.default_rng(1).standard_normal((24, 64)).astype(np.float32)]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "score.py"
    path.write_text(SCRIPT)
    return path


def compiled(model: Path, folder: Path, **options: Any) -> Bundle:
    return compile_api(model, options.pop("target", "x86_cpu"), output=folder / "out", **options)


# --- as it is written


@given(
    st.sampled_from(["cosine", "top1 drop", "a/b.py:f", "b.py:f drop", "C d.py:g rise"]),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from(["", " ", "  "]),
)
def test_every_spelling_is_read(subject: str, number: float, percent: bool, blank: str) -> None:
    sign = "<=" if subject.endswith(("drop", "rise")) else ">="
    text = f"{number * 100!r}{blank}%" if percent else repr(number)
    asked = asked_accuracy(f"{blank}{subject}{blank}{sign}{blank}{text}")
    (limit,) = (*asked.limits, *asked.scripts)
    assert limit.subject == " ".join(subject.split()) and limit.comparison == sign
    assert limit.value == pytest.approx(number, abs=1e-12)
    assert asked_accuracy([f"{subject}{sign}0.5", f"{subject} {sign} {text}"]) == asked_accuracy(f"{subject} {sign} {text}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cosine", "is not a limit"),
        ("", "is not a limit"),
        ("cosine <= 0.9", "from the wrong side"),
        ("top1 drop >= 1 %", "from the wrong side"),
        ("a.py:f drop >= 1", "from the wrong side"),
        ("cosine >= 99", "can never be reached"),
        ("cosine == 1", "exactly"),
        ("cosine >= nan", "not a finite number"),
        ("cosine >= x", "'x' is not a number"),
        ("psnr >= 30", "'psnr' is not something"),
        ("a.py >= 3", "'a.py' is not something"),
        ("a.py:f drop <= -1", "is none"),
        (3, "in words, not by int"),
    ],
)
def test_what_is_no_limit(words: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        asked_accuracy([words])
    assert message in str(raised.value)


def test_an_option_takes_the_place_of_the_target_s() -> None:
    target = asked_accuracy("cosine >= 0.5").within(load_target("x86_cpu"))
    again = asked_accuracy(["cosine >= 0.7", "top1 drop <= 2 %"]).within(target)
    assert [(limit.subject, limit.value) for limit in again.limits if limit.kind == "accuracy"] == [("cosine", 0.7), ("top1 drop", 0.02)]


# --- kept


def test_forms_are_chosen_until_a_script_is_content(model: Path, data: Any, script: Path, tmp_path: Path) -> None:
    """Looser limits never make the bundle slower; each is kept by the bundle's own run."""
    times = []
    for number, most in enumerate(("100 %", "40 %", "0")):
        words = f"{script}:agree drop <= {most}"
        bundle = compiled(model, tmp_path / str(number), precision="auto", calibration_data=data, accuracy=words)
        (score,) = bundle.manifest.scores
        (limit,) = (limit for limit in bundle.manifest.limits if limit.kind == "accuracy")
        assert score.before == 1.0 and score.samples == 40 and limit.subject == words.partition(" <=")[0]
        assert limit.value == pytest.approx(score.before - score.after) and (limit.margin or 0.0) >= 0 and limit.origin == "--accuracy"
        assert score.interval is None or score.interval[0] <= score.after - score.before <= score.interval[1]
        times.append(sum(segment.predicted_seconds for segment in bundle.manifest.segments))
        assert bundle.manifest.precision is not None
        if number == 0:
            assert len(bundle.manifest.search) == 1 and bundle.manifest.precision.forms
        if number == 2:
            assert 1 < len(bundle.manifest.search) <= MOST_ROUNDS + 2
            assert {one.verdict for one in bundle.manifest.search[:-1]} == {"over an error budget"}
            assert "agree drop: measured" in bundle.manifest.search[1].change
    assert times == sorted(times) and times[0] < times[-1]


def test_a_script_may_compare_both(model: Path, data: Any, script: Path, tmp_path: Path) -> None:
    asked = {"precision": "auto", "calibration_data": data}
    loose = compiled(model, tmp_path / "1", accuracy=f"{script}:error <= 100", **asked)
    tight = compiled(model, tmp_path / "2", accuracy=f"{script}:error <= 1e-4", **asked)
    found = [bundle.manifest.scores[0] for bundle in (loose, tight)]
    assert found[0].before is None and found[0].after > found[1].after <= 1e-4


@pytest.mark.parametrize("precision", ["int8", None])
def test_what_is_forced_is_refused_with_what_would_do(
    precision: str | None, model: Path, data: Any, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {} if precision is None else {"precision": precision, "calibration_data": data}
    if precision is None:  # not even floats are kept: the judge is not to be reasoned with
        scores = iter([1.0, 0.9])
        monkeypatch.setattr(checking.AccuracyScript, "score", lambda script, *runs: checking.Score((next(scores),)))
    with pytest.raises(Infeasible, match=r"drop: measured .*, and --accuracy allows <= 0") as raised:
        compiled(model, tmp_path, accuracy=f"{script}:agree drop <= 0", **given)
    assert not (tmp_path / "out").exists()
    text = str(raised.value)
    assert "`accuracy" in text and ("--precision auto chooses forms that keep it" in text) == (precision == "int8")


def test_even_floats_are_refused_after_few_rounds(
    model: Path, data: Any, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1000))
    monkeypatch.setattr(checking.AccuracyScript, "score", lambda script, *runs: checking.Score((1.0 - next(calls) / 100,)))
    with pytest.raises(Infeasible, match="in fp32 as well"):
        compiled(model, tmp_path, precision="auto", calibration_data=data, accuracy=f"{script}:agree drop <= 0.001")
    assert not (tmp_path / "out").exists() and 2 < next(calls) <= MOST_ROUNDS + 1


def test_limits_of_the_target_are_kept_of_the_float_model(model: Path, data: Any, tmp_path: Path) -> None:
    """Of held-out samples, by the bundle's run: not only against the quantised model it was made of."""
    target = tmp_path / "exact.hw"
    for limit, message in (("accuracy cosine >= 0.999999", "accuracy cosine: measured 0.999"), ("accuracy top1 drop <= 0 %", "top1 drop")):
        target.write_text(f'hw 1;\ninclude "x86_cpu.hw";\ntarget exact extends x86_cpu {{ limits {{ {limit}; }} }}\n')
        bundle = compiled(model, tmp_path / limit.split()[1], target=target, precision="auto", calibration_data=data)
        (kept,) = (one for one in bundle.manifest.limits if one.kind == "accuracy")
        assert kept.basis == "measured" and kept.margin is not None and kept.margin >= 0
        if "cosine" in limit:
            with pytest.raises(Infeasible, match=message):
                compiled(model, tmp_path / "int8", target=target, precision="int8", calibration_data=data)


# --- scripts


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def f(run): return 1 / 0", "score.py:f failed: ZeroDivisionError: division by zero"),
        ("def f(run): raise ValueError('a\\nb')", "score.py:f failed: ValueError: a"),
        ("import sys\ndef f(run): sys.exit(3)", "score.py:f failed: exits"),
        ("def f(run): pass", "returned no number, but None"),
        ("def f(run): return 'good'", "returned no number, but str"),
        ("def f(run): return True", "returned no number, but bool"),
        ("def f(run): return []", "returned no number, but list"),
        ("def f(run): return [[1, 2], [3]]", "returned no number, but list"),
        ("import numpy\ndef f(run): return numpy.ones((2, 2))", "returned no number, but ndarray of shape [2, 2]"),
        ("def f(run): return 1j", "returned no number, but complex"),
        ("def f(run): return float('nan')", "returned nan"),
        ("def f(run): return [1.0, float('inf')]", "returned inf"),
        ("def f(): return 1", "takes 0 arguments"),
        ("def f(a, b, c): return 1", "takes 3 arguments"),
        ("def g(run): return 1", "no function 'f'"),
        ("f = 3", "is not a function"),
        ("def f(run:", "cannot be imported: SyntaxError"),
        ("def f(run): return run({'nix': 1})['y']", "score.py:f failed: "),
        ("def f(run): return run(None)['y']", "score.py:f failed: "),
        ("def f(run): return 0.5", "the float model itself has"),
        ("N = []\ndef f(run):\n    N.append(1)\n    return N", "1 number for the float model and 2 for the bundle"),
    ],
)
def test_a_script_that_is_wrong_is_one_message(
    body: str, message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "score.py").write_text(body + "\n")
    limit = "drop <= 1" if "N = []" in body else ">= 0.9"
    line = [str(model), "--target", "x86_cpu", "-o", str(tmp_path / "out"), "--accuracy", f"{tmp_path / 'score.py'}:f {limit}"]
    assert cli.run(line) in (1, 2)
    told = capsys.readouterr().err
    assert told.count("error:") == 1 and message in told and "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_the_line_at_fault_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "score.py").write_text("\ndef f(run):\n    return 1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        compiled(model, tmp_path, accuracy="score.py:f")
    assert raised.value.where == "score.py:3"


def test_what_a_script_prints_is_no_result(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "score.py").write_text("def f(run):\n    print('chatter')\n    return 1\n")
    out = tmp_path / "out"
    assert cli.run([str(model), "--target", "x86_cpu", "-o", str(out), "--quiet", "--accuracy", f"{tmp_path / 'score.py'}:f"]) == 0
    assert capsys.readouterr().out.split() == [str(out)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accuracy": "top1 drop <= 1 %"}, "needs calibration data"),
        ({"accuracy": "cosine >= 0.9", "precision": "fp16"}, "needs calibration data"),
        ({"accuracy": "cosine >= 0.9", "verify": False}, "--no-verify exclude each other"),
    ],
)
def test_what_nothing_would_be_measured_for(options: dict[str, Any], message: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        compiled(model, tmp_path, **options)


def test_the_screen_says_what_is_kept(model: Path, data: Any, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "data.npz", x=np.concatenate([one["x"] for one in data]))
    line = [str(model), "--target", "x86_cpu", "-o", str(tmp_path / "out"), "--calibration-data", str(tmp_path / "data.npz")]
    line += ["--precision", "auto", "--accuracy", "cosine >= 0.99", "--accuracy", f"{script}:agree drop <= 90 %"]
    assert cli.run(line) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "agree on 40 samples: 1 in fp32, " in shown and "accuracy cosine 0.99" in shown and "(measured, --accuracy)" in shown
    assert "held-out samples: cosine 0.99" in shown and "(95 %: 0.99" in shown


# --- how the next choice is found, and what is said


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_next_choice_loses_less(cosine: float, limit: float, measured: float) -> None:
    record = LimitRecord(
        kind="accuracy", subject="cosine", comparison=">=", limit=limit, text="", basis="measured", value=measured, margin=measured - limit,
        unproven="", origin="",
    )  # fmt: skip
    least = tighter(cosine, AccuracyMissed((record,), "", ""))
    assert HARSH * (1 - cosine) - 1e-9 <= 1 - least <= GENTLE * (1 - cosine) + 1e-9
    name, words = looser(record).split(" >= ")
    assert name == "accuracy cosine" and float(words) <= measured + 1e-12
    assert measured - float(words) <= 0.01 * (1 - measured) + 1e-12


@given(st.floats(0, 1))
def test_a_cosine_is_never_said_to_be_larger(value: float) -> None:
    assert float(cosine_text(value)) <= value + 1e-12


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_intervals_hold_the_mean_and_are_the_same_again(values: list[float]) -> None:
    found = mean_interval(values)
    assert found is not None and found == mean_interval(values)
    assert min(values) - 1e-12 <= found[0] <= found[1] <= max(values) + 1e-12
    shifted = mean_interval([value + 1 for value in values])
    assert shifted is not None and shifted == pytest.approx((found[0] + 1, found[1] + 1))


def test_nine_in_ten_intervals_hold_the_truth() -> None:
    """95 % of a normal mean of 30: the percentile bootstrap is a little narrow."""
    random = np.random.default_rng(3)
    found = [mean_interval(list(random.normal(size=30))) for _ in range(200)]
    assert 0.88 <= np.mean([one is not None and one[0] <= 0 <= one[1] for one in found]) <= 0.99
    assert mean_interval([1.0]) is None


def test_a_script_that_hangs_is_one_message(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time counts between two runs of the model: what takes longer in all is not ended."""
    (tmp_path / "score.py").write_text(
        "import numpy, time\nX = {'x': numpy.ones((1, 64), numpy.float32)}\n"
        "def slow(run):\n    for _ in range(6):\n        time.sleep(0.5)\n        run(X)\n    return 1\n"
        "def hang(run):\n    run(X)\n    while True:\n        time.sleep(0.1)\n"
    )
    found = {}
    for name in ("slow", "hang"):
        words = [str(model), "--target", "x86_cpu", "-o", str(tmp_path / name), "--time-limit", "2", "--accuracy", f"score.py:{name}", "-q"]
        command = [sys.executable, "-c", "import sys; from autoglmc.compiler.cli import main; sys.exit(main())", *words]
        found[name] = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert found["slow"].returncode == 0 and (tmp_path / "slow").is_dir()
    limited = {"time_limit": 0.3, "accuracy": "score.py:slow"}  # in a program nobody watches
    with pytest.raises(TimeLimit, match=r"score\.py:slow, between two runs of the model, took more than 0\.3 s"):
        monkeypatch.chdir(tmp_path)
        compiled(model, tmp_path, **limited)
    assert found["hang"].returncode == 1 and not (tmp_path / "hang").exists()
    assert (
        found["hang"].stderr.count("error:") == 1
        and "score.py:hang, between two runs of the model, took more than 2 s" in found["hang"].stderr
    )
