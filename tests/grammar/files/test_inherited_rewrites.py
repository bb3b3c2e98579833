"""A target that denies an operator it inherits keeps the inherited `rewrite … -> native` line, which is then never taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoglmc.grammar import HwError, load_target, parse_target
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.text.code_examples import FOLDER
from autoglmc.targets.stock import stock_path

CHILD = """hw 1;
include "workstation.hw";
target child extends workstation {{ }}
amend &child.npu {{ deny {{ Gelu; }} {more} }}
"""


def test_denying_what_a_stock_table_rewrites_to_itself_is_no_mistake(tmp_path: Path) -> None:
    assert "rewrite Gelu -> native;" in (stock_path("workstation").parent / "std" / "qnn_htp.hw").read_text()
    (tmp_path / "child.hw").write_text(CHILD.format(more=""))
    assert any(rule.operator == "Gelu" for rule in load_target(tmp_path / "child.hw").device("npu").denies)


def test_a_line_of_the_same_file_is(tmp_path: Path) -> None:
    (tmp_path / "child.hw").write_text(CHILD.format(more="rewrite Gelu -> native;"))
    with pytest.raises(HwError) as failure:
        load_target(tmp_path / "child.hw")
    assert [d.code for d in failure.value.diagnostics if d.severity == "error"] == ["HW0502"]


def test_decompose_needs_what_a_form_of_decompose_leaves() -> None:
    """Gelu's only such form needs Erf; its exact forms by Sigmoid and Tanh belong to other rules, and to models that wrote them."""
    text = (FOLDER / "hw0512.fixed.hw").read_text("utf-8")
    with pytest.raises(HwError, match=r"HW0502.*`decompose` needs `Erf`"):
        parse_target(text.replace("relu_tanh tol 1e-3", "decompose"), "t.hw", rule_facts())
    assert parse_target(text.replace("relu_tanh tol 1e-3", "decompose").replace("Relu, ", "Relu, Erf, "), "t.hw", rule_facts())
