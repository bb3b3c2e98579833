"""What `autoglmc why` prints: the device's own refusal before what a rewrite could do, changes in vain in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from make_target import make_device, make_link, make_target
from small_models import parse, save

from autoglmc.compiler.explain.as_json import as_json
from autoglmc.compiler.explain.explain_model import explain_model
from autoglmc.compiler.report.why_screen.print_why import print_why
from autoglmc.targets.model import Target

GELU = "g (float[64,64] x) => (float[64,64] y) { a = Add(x, x) y = Gelu(a) }"


def board(*operators: str, dispatch: float = 1e-4) -> Target:
    npu, cpu = make_device("npu", operators, dispatch=dispatch), make_device("cpu", None, adapter="ort", peak=1e10)
    return make_target([npu, cpu], [make_link("npu", "cpu", handoff=1e-5)], opset=(13, 20))


def shown(folder: Path, target: Target, capsys: pytest.CaptureFixture[str], word: str) -> tuple[str, dict[str, Any]]:
    told = explain_model(save(parse(GELU, opset=20, ir=9), folder), target, word=word)
    facts = as_json(told)
    print_why(facts)
    return " ".join(capsys.readouterr().out.split()), facts


def test_the_native_refusal_comes_before_the_rewrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, facts = shown(tmp_path, board("Erf", "Add", "Mul", "Div"), capsys, "Gelu")
    assert "npu native: refused, `Gelu` is not in npu's table, test.hw:1 could: rewritten by gelu_erf, no `rewrite` line needed" in text
    npu = facts["subjects"][0]["devices"][0]
    assert (npu["rule"], npu["native_refusal"]) == ("gelu_erf", "`Gelu` is not in npu's table, test.hw:1")
    text, facts = shown(tmp_path, board("Erf", "Add", "Mul", "Div"), capsys, "")
    assert "native: refused, `Gelu` is not" in text
    refusals = {group["operator"]: group["native_refusal"] for group in facts["groups"]}
    assert refusals == {"Gelu": "`Gelu` is not in npu's table, test.hw:1", "Add": None}
    text, facts = shown(tmp_path, board("Gelu"), capsys, "Gelu")
    assert "native: refused" not in text and facts["subjects"][0]["devices"][0]["native_refusal"] is None


def test_what_was_tried_in_vain_is_one_line_by_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, facts = shown(tmp_path, board("Add", "Mul", "Sigmoid", dispatch=0.0), capsys, "Gelu")
    tried, vain = text.split("tried without success: ")
    failed = [change["text"] for change in facts["subjects"][0]["changes"] if not change["places"]]
    assert len(failed) > 3 and all(change not in text for change in failed if change.startswith("`rewrite"))
    assert "(needs Tanh)" in vain and " tanh" in f" {vain}"
    assert "smallest: `rewrite Gelu -> sigmoid" in tried and "still refused" not in text
    assert "sigmoid_of_tanh, tanh_of_tanh, relu_tanh_of_tanh: this form approximates the other variant of GELU" in tried
