"""The grammar itself: free of conflicts, holds everything the language page shows, and one slip gives about one message."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from counted import at_most
from lark import Lark, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.text.parser import GRAMMAR, OPTIONS, parser, tokens_of
from autoglmc.grammar.text.syntax import Rule, Statement, read
from autoglmc.targets.stock import stock_names, stock_path

EVERYTHING = """hw 1;
include "std/table.hw";   // a comment
/* and
   another */
target a extends b {
  name "x // y"; onnx opset 13..21; confidence low;
  memory dram { size 6 GiB @src("z"); shared npu, cpu; }
  device npu : ane {
    runtime coreml mlprogram ios >= 17; peak fp16 17 TOPS; sustained 60 %; dispatch 150 \u00b5s; launch 1 \u03bcs;
    max dim N 65536, C 65536; static_shapes yes; power active 2 W @guess, idle 0.1 W @guess;
    supports fp16, fp32 {
      inherit gpu; com.microsoft::Gelu where bytes(X) <= 4 MiB and andconst(B) or -x^-2 == [1, 2] and X in { a, b };
      Conv where not (rank(X) in 3..4) and native(com.microsoft::Gelu) and attr.mode == "linear";
    }
    deny { Gather where not const(indices); TopK; }
    kernel { Conv -> Relu | Clip; MatMul -> Add -> Gelu?; }
    rewrite Gelu -> relu_tanh tol 5e-4 keep fp32 ReduceMean where not native(Gelu);
  }
  link npu <-> cpu { zero_copy where dtype == fp16 else copy 20 GB/s @guess; length multiple 16 KiB; }
  link npu -> cpu { copy 1 GB/s; }
  limits { memory peak <= 250 MiB; }
  shapes { decode: seq 1; prefill: seq 16, 64, 256; }
}
amend &a.npu { dispatch 120 us; }
delete &a.npu.supports Resize;
rule relu_tanh(x, y) {
  match Gelu(x), y;
  let a = Relu(x, axis = -1) + Relu(-1 * x), b = 2^3^x;
  emit Relu(x) - 0.5 * a / (1 - Tanh(a));
  error abs 2.8e-4 over real;
}
"""


def test_no_conflicts() -> None:
    pytest.importorskip("interegular")
    Lark(GRAMMAR.read_text("utf-8"), **OPTIONS, strict=True)


def test_every_token_has_its_place() -> None:
    """Tokens come in the order of the text and say where they stand; between two of them is nothing but blanks and comments."""
    for text in (EVERYTHING, *(stock_path(name).read_text("utf-8") for name in stock_names())):
        end = 0
        for token in tokens_of(parser().parse(text)):
            assert token.start_pos is not None and token.end_pos is not None
            assert text[token.start_pos : token.end_pos] == token
            assert re.fullmatch(r"(\s|//[^\n]*|/\*.*?\*/)*", text[end : token.start_pos], re.DOTALL)
            end = token.end_pos


@pytest.mark.parametrize(
    ("text", "kind", "line", "column", "accepted"),
    [
        ("a\n  where rank(X) <> 4;", UnexpectedToken, 2, 18, {"NUMBER", "NAME", "MINUS", "LPAR"}),
        ("hw 1;\nname \u00a0 x;", UnexpectedCharacters, 2, 6, {"WORD", "SEMI", "WHERE"}),
        ("rule 3", UnexpectedToken, 1, 6, {"NAME"}),
        ("a b", UnexpectedToken, 1, 3, {"SEMI", "LBRACE"}),
    ],
)
def test_the_parser_says_where_and_what_it_accepts(
    text: str, kind: type[UnexpectedInput], line: int, column: int, accepted: set[str]
) -> None:
    with pytest.raises(kind) as caught:
        parser().parse(text)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert error.interactive_parser is not None  # type: ignore[attr-defined]
    assert accepted <= error.interactive_parser.accepts()  # type: ignore[attr-defined]


def test_holds_the_whole_language() -> None:
    file = read(Source("all.hw", EVERYTHING))
    assert not file.errors
    assert Counter(type(item) for item in file.items) == {Statement: 5, Rule: 1}
    assert file.items[-1].span.text.startswith("rule relu_tanh") and file.items[-1].span.text.endswith("}")


def test_spans_are_exact() -> None:
    target = read(Source("all.hw", EVERYTHING)).items[2]
    assert isinstance(target, Statement) and target.body
    name = target.body[0]
    assert isinstance(name, Statement)
    assert (name.span.text, name.args[0].span.text, name.args[0].text) == ('name "x // y";', '"x // y"', "x // y")


def test_power_binds_tighter_than_minus_and_to_the_right() -> None:
    rule = read(Source("all.hw", EVERYTHING)).items[-1]
    assert isinstance(rule, Rule)
    power = rule.let[1][1]
    assert power.text == "^" and power.parts[1].text == "^"


def test_a_single_fault_gives_about_one_message() -> None:
    """Deleted, doubled and foreign letters at random places of the stock targets: no crash, bounded, few messages."""
    dice = random.Random(7)
    counts: Counter[int] = Counter()
    for name in stock_names():
        text = stock_path(name).read_text("utf-8")
        for _ in range(25):
            at = dice.randrange(len(text))
            letter = dice.choice(';{}()"=&#@,x1 ')
            broken = dice.choice((text[:at] + text[at + 1 :], text[:at] + letter + text[at:], text[:at] + letter + text[at + 1 :]))
            counts[len(read(Source("x.hw", broken)).errors)] += 1
    faulty = sum(count for errors, count in counts.items() if errors)
    assert faulty > 20
    assert counts[1] / faulty >= 0.7 and sum(counts[n] for n in (1, 2, 3)) / faulty >= 0.9, counts


SCRAPS = ('"', "{", "}", ";;;;", "a {{{{", "a where", "rule", "rule x(", "\\", "a @src(", "/*", "x where a in {", "&", "a" * 5000 + "{")


@pytest.mark.parametrize("text", [*SCRAPS, "\x00", "a 1..", "hw 1"])
def test_scraps_are_refused_with_bounded_work(text: str) -> None:
    with at_most(200_000):
        file = read(Source("scrap.hw", text))
    assert 1 <= len(file.errors) <= 20
    assert all(0 <= error.span.start <= len(text) for error in file.errors)


def test_a_megabyte_of_errors_is_bounded() -> None:
    text = "hw 1;\n" + "target x { name ; }} \n" * 40_000
    with at_most(50_000_000):
        file = read(Source("big.hw", text[: 1 << 20]))
    assert file.errors
