"""`onnx opset` in a file that extends another: lines written without knowing it are read for all opsets, one's own for those declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoglmc.grammar import analyse_file
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.stock import stock_names


@pytest.mark.parametrize("name", stock_names())
@pytest.mark.parametrize("low, high", [(13, 13), (13, 17), (21, 23)])
def test_a_stock_target_takes_other_opsets(name: str, low: int, high: int, tmp_path: Path) -> None:
    """What its lines ask of operands that came later is left out; nothing is reported at lines the author did not write."""
    path = tmp_path / "mine.hw"
    path.write_text(f'hw 1; include "{name}.hw"; target mine extends {name} {{ onnx opset {low}..{high}; }}\n', "utf-8")
    assert analyse_file(path, rule_facts()).diagnostics == ()


def test_own_lines_are_held_to_the_declared_opsets(tmp_path: Path) -> None:
    path = tmp_path / "mine.hw"
    text = (
        'hw 1; include "a16.hw"; target mine extends a16 {{ {} device npu {{ supports fp16 {{ Gelu; Pad where not present(axes); }} }} }}\n'
    )
    path.write_text(text.format("onnx opset 13..17;"), "utf-8")
    assert [found.code for found in analyse_file(path, rule_facts()).diagnostics] == ["HW0404", "HW0403"]
    path.write_text(text.format(""), "utf-8")
    assert analyse_file(path, rule_facts()).diagnostics == ()
