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


def culprits(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str, compiled: bool = False, said: list[str] | None = None
) -> tuple[Culprit, ...]:
    use_stub(monkeypatch, folder)
    tell = (lambda line: None) if said is None else said.append
    return find_culprits(parse(CHAIN), X, StubAdapter(words), words, tell, compiled=compiled)


def test_exactly_what_is_refused_or_wrong_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refused, wrong = culprits(monkeypatch, tmp_path, "refuse", "Tanh", "wrong", "Neg")
    assert (refused.operator, refused.reason) == ("Tanh", "it is refused: there is no Tanh here")
    assert wrong.operator == "Neg" and wrong.reason.startswith("it is computed wrong: d is off by 1 at [0,0]")
    assert refused.confirmed and wrong.confirmed
    assert wrong.line == "deny { Neg where shape(X) == [2, 8]; }"


def test_a_runtime_without_faults_has_no_culprits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert culprits(monkeypatch, tmp_path) == ()


def test_a_fault_of_two_together_is_found_by_bisection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (found,) = culprits(monkeypatch, tmp_path, "pair", "Exp", "Neg")
    assert found.operator == "Neg" and found.reason.startswith("after the operators before it, it is computed wrong")


def test_a_segment_that_is_right_up_to_rounding_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    assert culprits(monkeypatch, tmp_path, "near", "Tanh", "alone", "Abs", compiled=True, said=said) == ()
    assert said == [], "no operator was asked about"


def test_refusing_an_operator_alone_is_no_evidence_where_the_segment_was_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (found,) = culprits(monkeypatch, tmp_path, "alone", "Abs", "wrong", "Neg", compiled=True)
    assert found.operator == "Neg"


def test_an_operator_that_is_taken_beside_its_neighbours_is_not_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert {one.operator for one in culprits(monkeypatch, tmp_path, "alone", "Abs", "refuse", "Neg")} == {"Neg"}


def test_an_operator_without_inputs_is_no_evidence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    model = parse("g (float[2,8] x) => (float[2,8] y) <float[2] w = {1,2}> { c = Constant<value = float {2}>() a = Mul(x, c) y = Tanh(a) }")
    words = ("refuse", "Constant", "refuse", "Tanh")
    found = find_culprits(model, X, StubAdapter(words), words, lambda line: None)
    assert [one.operator for one in found] == ["Tanh"]


def test_what_does_not_matter_behind_it_blames_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Exp is twice as large beyond 5, and Tanh is 1 there anyway."""
    assert culprits(monkeypatch, tmp_path, "large", "Exp", compiled=True) == ()


def test_what_fresh_inputs_do_not_confirm_is_known_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    model = parse("g (float[2,8] x) => (float[2,8] y) { a = Abs(x) b = Exp(a) y = Neg(b) }")
    for word, sure in (("large", False), ("wrong", True)):
        (found,) = find_culprits(model, X, StubAdapter((word, "Exp")), (word, "Exp"), lambda line: None, compiled=True)
        assert found.operator == "Exp" and found.confirmed == sure
