"""What an editor asks: completion, hover, definitions and the outline, on finished and unfinished text."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoglmc.grammar import load_source
from autoglmc.grammar.editor.complete import complete
from autoglmc.grammar.editor.definition import definition, symbols
from autoglmc.grammar.editor.hover import hover
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.words.properties import PROPERTIES
from autoglmc.grammar.words.units import TIMES

FILE = """hw 1;
include "std/ort_cpu.hw";
target box {
  memory dram { size 6 GiB @src("a page"); shared npu, cpu; }
  device npu : tpu {
    dispatch 150 us @guess;
    supports fp16 { Conv, Relu where const(W) and attr.group == 1; }
    rewrite Gelu -> mine;
  }
  device cpu : arm64 { inherit ort_cpu; }
  link npu <-> cpu { zero_copy; }
}
amend &box.npu { launch 1 us; }
rule mine(x) { match Gelu(x); emit x * Sigmoid(x); }
"""
NPU = "hw 1; target t { device npu : x { "


def labels(text: str) -> list[str]:
    """What is offered at the `|` of a text."""
    return [item.label for item in complete(text.replace("|", ""), text.index("|"), rule_facts())]


def test_properties_of_the_block() -> None:
    assert labels(NPU + "|") == list(PROPERTIES["device"])
    assert labels(NPU + "dis|") == ["dispatch"]
    assert labels("|") == list(PROPERTIES["file"])
    assert "handoff" in labels("hw 1; target t { link a <-> b { zero_copy; |")
    assert labels("amend &t.npu { dispatch 1 us; } tar|") == ["target"]


def test_operators_in_tables() -> None:
    for text in (NPU + "supports fp16 { Con|", NPU + "deny { Con|", NPU + "kernel { Con|", NPU + "rewrite Con|"):
        assert {"Conv", "Concat", "ConvTranspose"} <= set(labels(text)), text
        assert not {"Relu", "dispatch"} & set(labels(text))


def test_operands_and_attributes_in_a_condition() -> None:
    asked = NPU + "supports fp16 { Conv where "
    assert {"const", "rank", "attr.group"} <= set(labels(asked + "|"))
    assert labels(asked + "attr.gr|") == ["attr.group"]
    assert {"X", "W", "B"} <= set(labels(asked + "const(|")) and "Scale" not in labels(asked + "const(|")
    assert "fp16" in labels("hw 1; target t { link a <-> b { zero_copy where dtype == |")


def test_units_after_a_number() -> None:
    assert labels(NPU + "dispatch 150 |") == list(TIMES)
    assert "GB/s" in labels("hw 1; target t { memory m { bandwidth 50 |") and "us" not in labels(
        "hw 1; target t { memory m { bandwidth 50 |"
    )


def test_rules_after_the_arrow() -> None:
    found = labels(NPU + "rewrite Gelu -> | ; } } rule mine(x) { match Gelu(x); }")
    assert {"native", "relu_tanh", "tanh", "mine"} <= set(found) and "layernorm_div" not in found


def test_nothing_in_comments_and_strings() -> None:
    assert labels("hw 1; // dev|") == [] and labels('include "a|') == []


def test_every_offset_answers() -> None:
    source = Source("x.hw", FILE)
    for offset in range(len(FILE) + 1):
        complete(FILE[:offset], offset, rule_facts())
        hover(FILE, offset)
        definition(source, offset, load_source)


def said(word: str) -> str:
    found = hover(FILE, FILE.index(word))
    assert found is not None
    return found[0]


def test_hover() -> None:
    assert "X, W, B?" in said("Conv") and "`group` int" in said("Conv") and "since opset 1" in said("Conv")
    assert "0.15 ms" in said("150") and "not known" in said("150") and "0.15 ms" in said("us @guess")
    assert "a page" in said("6 GiB") and "6144 MiB" in said("6 GiB")
    assert PROPERTIES["device"]["dispatch"].meaning in said("dispatch")
    assert "constant" in said("const(W)")
    assert hover(FILE, FILE.index("box")) is None


@pytest.mark.parametrize(
    ("word", "inside", "declared"),
    [
        ("npu, cpu", 0, "npu"),
        ("cpu { zero", 0, "cpu"),
        ("mine;", 0, "mine"),
        ("&box.npu", 1, "box"),
        ("&box.npu", 6, "npu"),
        ("ort_cpu; }", 0, "ort_cpu"),
    ],
)
def test_definitions(word: str, inside: int, declared: str) -> None:
    span = definition(Source("x.hw", FILE), FILE.index(word) + inside, load_source)
    assert span is not None and span.text == declared
    line = span.source.line(span.origin.line)
    assert any(f"{kind} {declared}" in line for kind in ("device", "rule", "target", "table"))


def test_definition_of_an_include(tmp_path: Path) -> None:
    (tmp_path / "parent.hw").write_text("hw 1; target parent { device npu : x { } }")
    text = 'hw 1; include "parent.hw"; target child extends parent { memory m { shared npu; } }'
    source = Source(str(tmp_path / "child.hw"), text)
    for word, line in (('"parent', ""), ("parent {", "parent"), ("npu;", "npu")):
        span = definition(source, text.index(word), load_source)
        assert span is not None and span.source.name == str(tmp_path / "parent.hw") and span.text == line


def test_outline() -> None:
    found = symbols(Source("x.hw", FILE))
    assert [(item.kind, item.name) for item in found] == [("target", "box"), ("property", "&box.npu"), ("rule", "mine")]
    assert [item.name for item in found[0].children] == ["dram", "npu", "cpu", "npu <-> cpu"]
