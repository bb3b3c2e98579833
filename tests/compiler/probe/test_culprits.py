"""The operator at fault in a segment is named, whether it is refused, computed wrong, or wrong only beside another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import parse
from stub_adapter import StubAdapter, use_stub

from autoglmc.compiler.probe.culprits import Culprit, find_culprits

CHAIN = "g (float[2,8] x) => (float[2,8] y) { a = Abs(x) b = Exp(a) c = Tanh(b) d = Neg(c) y = Sigmoid(d) }"
X = {"x": np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)}


def culprits(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> tuple[Culprit, ...]:
    use_stub(monkeypatch, folder)
    return find_culprits(parse(CHAIN), X, StubAdapter(words), words, lambda line: None)


def test_exactly_what_is_refused_or_wrong_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refused, wrong = culprits(monkeypatch, tmp_path, "refuse", "Tanh", "wrong", "Neg")
    assert (refused.operator, refused.reason) == ("Tanh", "it is refused: there is no Tanh here")
    assert wrong.operator == "Neg" and wrong.reason.startswith("it is computed wrong: d is off by")
    assert wrong.line == "deny { Neg where shape(X) == [2, 8]; }"


def test_a_runtime_without_faults_has_no_culprits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert culprits(monkeypatch, tmp_path) == ()


def test_a_fault_of_two_together_is_found_by_bisection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (found,) = culprits(monkeypatch, tmp_path, "pair", "Exp", "Neg")
    assert found.operator == "Neg" and found.reason.startswith("after the operators before it, it is computed wrong")
