"""What `show` prints is a file without includes that means the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hw_layers import BODIES, BOX, DELETES
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.compiler.hw.difference import differences
from autoglmc.grammar import Result, analyse_file, analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.show import show_text
from autoglmc.grammar.text.format import format_text
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_names, stock_path


def placeless(value: object) -> object:
    """The same without the places where things were said."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if "origin" not in field.name]
        return [type(value).__name__, *(placeless(getattr(value, name)) for name in names)]
    return [placeless(item) for item in value] if isinstance(value, tuple) else value


def shown(result: Result) -> tuple[Target, Target, str]:
    """(the target, the target that its `show` reads back as, the text)."""
    assert result.target is not None and result.resolved is not None, [found.message for found in result.diagnostics]
    text = show_text(result.resolved)
    again = analyse_text(text, "nowhere/shown.hw", rule_facts())
    assert again.target is not None, [found.message for found in again.diagnostics]
    return result.target, again.target, text


def same(result: Result) -> str:
    target, again, text = shown(result)
    assert again.digest == target.digest and not differences(target, again)
    facts = [dataclasses.replace(fact, origin=target.facts[0].origin) for fact in target.facts]
    assert [dataclasses.replace(fact, origin=target.facts[0].origin) for fact in again.facts] == facts
    assert (again.title, again.confidence, placeless(again.limits), placeless(again.links)) == (
        target.title, target.confidence, placeless(target.limits), placeless(target.links),
    )  # fmt: skip
    assert format_text(text) == text and "include" not in text.replace("count_include_pad", "")
    return text


@pytest.mark.parametrize("name", stock_names())
def test_stock_targets(name: str) -> None:
    text = same(analyse_file(stock_path(name), rule_facts()))
    for fact in analyse_file(stock_path(name), rule_facts()).target.facts:  # type: ignore[union-attr]
        assert any(fact.text in line and f"// {fact.origin}" in line for line in text.splitlines()), fact


@settings(max_examples=20)
@given(BODIES, BODIES, DELETES)
def test_layers(child: str, amendment: str, deletion: str) -> None:
    amend = f"amend &mine {{ {amendment} }}"
    text = f"{BOX} target mine extends box {{ {child} }} {deletion} {amend}"
    result = analyse_text(text, "box.hw", rule_facts())
    if not any(found.severity == "error" for found in result.diagnostics):  # what was deleted may be missed
        same(result)


def test_most_layers_are_good() -> None:
    """The property above is about something."""
    good: list[bool] = []

    @settings(max_examples=15)
    @given(BODIES, BODIES, DELETES)
    def count(child: str, amendment: str, deletion: str) -> None:
        text = f"{BOX} target mine extends box {{ {child} }} {deletion} amend &mine {{ {amendment} }}"
        result = analyse_text(text, "box.hw", rule_facts())
        good.append(result.target is not None)

    count()
    assert sum(good) > len(good) / 2


def test_values_say_where_they_are_from(tmp_path: Path) -> None:
    (tmp_path / "box.hw").write_text(BOX, "utf-8")
    (tmp_path / "mine.hw").write_text(
        'hw 1; include "box.hw";\ntarget mine extends box {\n  device npu {\n    dispatch 7 us @guess;\n  }\n}\n'
        "rule half(x) { match Gelu(x); emit 0.5 * x * (1 + Erf(0.7071067811865476 * x)); error abs 1e-3 over real; } // mine\n",
        "utf-8",
    )
    text = same(analyse_file(tmp_path / "mine.hw", rule_facts()))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "dispatch 7 us @guess; // mine.hw:4" in lines and "launch 1 us @guess; // box.hw:6" in lines
    assert "Conv where const(W) and rank(X) in 3..4; // box.hw:8" in lines and "// mine.hw:7" in lines
    assert "extends" not in text and "inherit" not in text


def test_a_table_of_all_opsets_stays_one(tmp_path: Path) -> None:
    table = "table t { supports fp16 { RMSNormalization, Relu; Cast where all(attr.saturate) == 1; } }\n"
    text = BOX.replace("onnx opset 13..21", "onnx opset 13..17").replace("hw 1;", f"hw 1;\n{table}").replace("runtime none;", "inherit t;")
    shown_text = same(analyse_text(text, "box.hw", rule_facts()))
    assert "table box_npu {" in shown_text and "inherit   box_npu;" in shown_text


@given(st.data())
@settings(max_examples=15)
def test_extends_is_amend(data: st.DataObject) -> None:
    """A chain of two children is one child that was amended, and a parent amended before it is extended by the second."""
    one, two = data.draw(BODIES), data.draw(BODIES)
    chain = analyse_text(f"{BOX} target mid extends box {{ {one} }} target top extends mid {{ {two} }}", "a.hw").target
    grouped = analyse_text(f"{BOX} amend &box {{ {one} }} target top extends box {{ {two} }}", "a.hw").target
    amended = analyse_text(f"{BOX} target top extends box {{ {one} }} amend &top {{ {two} }}", "a.hw").target
    assert chain is not None and grouped is not None and amended is not None
    assert chain.digest == grouped.digest == amended.digest
    assert placeless(chain.facts) == placeless(grouped.facts) == placeless(amended.facts)
