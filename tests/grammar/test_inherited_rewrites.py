"""A target that denies an operator it inherits keeps the inherited `rewrite … -> native` line, which is then never taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoglmc.grammar import HwError, load_target
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
