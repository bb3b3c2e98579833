"""What the screen says of widths, margins, passes that were compared, and tensors that no node writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_target import make_cpu, make_target
from small_models import RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.explain.explain_model import explain_model
from autoglmc.compiler.report.columns import NARROWEST
from autoglmc.compiler.report.layout import WIDTH, console

WIDTHS = [("70", 70), ("200", 200), ("7", NARROWEST), ("", WIDTH), ("wide", WIDTH), (str(NARROWEST), 40)]


@pytest.mark.parametrize(("said", "width"), WIDTHS)
def test_a_pipe_is_as_wide_as_columns_says(said: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert console().width == width


def test_verify_each_says_that_nothing_was_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compile", str(save(parse(RELU), tmp_path)), "--target", "x86_cpu", "--verify-each"]) == 0
    assert " compared with the model, " in capsys.readouterr().out


def test_why_of_an_input_or_a_weight_is_of_its_readers(tmp_path: Path) -> None:
    model = parse("g (float[2,4] x) => (float[2,4] y) <float[4] w = {1, 2, 3, 4}> { a = Add(x, w) b = Exp(a) y = Mul(b, x) }")
    target = make_target([make_cpu()], [])
    path = save(model, tmp_path)
    told = explain_model(path, target, word="x")
    assert told.traces == ("`x` is an input of the model, read by 2 operators",)
    assert sorted(subject.alike.operator for subject in told.subjects) == ["Add", "Mul"]
    assert explain_model(path, target, word="w").traces == ("`w` is a constant, read by 1 operator",)
