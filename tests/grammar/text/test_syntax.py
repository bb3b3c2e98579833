"""The grammar itself: free of conflicts, holds everything the language page shows, and one slip gives about one message."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from counted import at_most
from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.text.parser import Unexpected, parser
from autoglmc.grammar.text.syntax import Rule, Statement, read
from autoglmc.targets.stock import stock_names, stock_path

from ..test_language_page import tool

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
    grammar = (tool("generate_parser").GRAMMAR / "hw.lark").read_text("utf-8")
    Lark(grammar, parser="lalr", lexer="contextual", strict=True)


def test_the_tables_are_of_this_grammar() -> None:
    assert tool("generate_parser").up_to_date(), "python tools/generate_parser.py"


def test_reads_as_lark_does() -> None:
    """The same tree, or the same place and the same terminals expected there, for whole texts and for mutated ones."""
    lark, fuzz = tool("generate_parser").build(), tool("fuzz_language")
    large, small = fuzz.originals()
    mutated = (fuzz.mutated(number, 5, large, small).decode("utf-8", "replace") for number in range(300))
    texts = [EVERYTHING, *(text.decode() for text in large), *(text for text in mutated if len(text) < 20_000)]
    assert [text for text in texts if not _alike(text, _read(parser().parse, text), _read(lark.parse, text))] == []
    assert 50 < sum(isinstance(_read(parser().parse, text)[0], int) for text in texts) < len(texts) - 50


def _alike(text: str, ours: tuple[Any, ...], larks: tuple[Any, ...]) -> bool:
    """Both refuse `where dtype <-> fp16`, where no arrow can stand: we at the `<->`, lark two letters on, since it reads a `<` there."""
    arrow = isinstance(ours[0], int) and text.startswith("<->", ours[0]) and larks[0] == ours[0] + 2
    return ours == larks or (arrow and not larks[2])


def _read(parse: Callable[[str], Any], text: str) -> tuple[Any, ...]:
    try:
        return _plain(parse(text))
    except Unexpected as error:
        return error.at, error.letter, error.ended, error.expected - {"$END"}
    except UnexpectedCharacters as error:
        return error.pos_in_stream, True, False, error.allowed
    except UnexpectedToken as error:
        ended = error.token.type == "$END"
        return len(text) if ended else error.pos_in_stream, False, ended, error.expected - {"$END"}


def _plain(tree: Any) -> tuple[Any, ...]:
    """Of either parser."""
    if isinstance(tree, str):
        return tree.type, str(tree), tree.start_pos, tree.end_pos  # type: ignore[attr-defined]
    return str(tree.data), [_plain(child) for child in tree.children]


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
