"""A .hw file whose words are a megabyte, hold NUL or ESC, or are numbers of thousands of digits: messages stay short, and come soon."""

from __future__ import annotations

import time

import pytest

from autoglmc.compiler.report.printable import printable
from autoglmc.grammar import analyse_text, as_json, render
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.text.diagnostics import LONGEST_TEXT, LONGEST_WORD, clipped
from autoglmc.grammar.text.pieces import split_pieces

TEXT = """hw 1;
include "std/ort_cpu.hw";
target t {
  name "Box"; onnx opset 13..21; confidence low;
  memory dram { size 6 GiB; bandwidth 50 GB/s @src("a page"); page 16 KiB; holds weights, activations; shared npu, cpu; }
  device npu : tpu { runtime none; peak fp16 10 TOPS @guess; dispatch 100 us; launch 1 us; max rank 4; max dim N 8;
    supports fp16 { Conv where const(W) and attr.group == 1 or rank(X) in 1..4; Relu, Gelu, Tanh, Mul, Add, Sub; }
    deny { TopK; } kernel { Conv -> Relu; } rewrite Gelu -> relu_tanh tol 5e-4 keep fp16 Mul; }
  device cpu : arm { runtime ort; inherit ort_cpu; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; }
  link npu <-> cpu { via dma; zero_copy where dtype == fp16 else copy 1 GB/s; handoff 1 us; }
  precision { keep fp32 Softmax on cpu; }
  limits { latency <= 12 ms; partitions npu <= 4; }
  shapes { all: n 4; }
}
rule mine(x) { match Relu(x); let a = x * 0.5; emit Max(a + a, 0); error abs 1e-3 over -8..8; }
amend &t.npu { dispatch 2 us; }
"""
PIECES = split_pieces(TEXT)
STEP = 9
LONG = 20_000
WORDS = {
    "a word": "x" * LONG,
    "digits": "9" * LONG,
    "a string": '"' + "s" * LONG + '"',
    "a path": "a::" * (LONG // 3) + "b",
    "signs": "-" * LONG,
    "NUL and ESC": "a\0\x1b[31mb",
    "a note": '@src("' + "y" * LONG + '")',
}


def longest(text: str) -> int:
    """Characters of the longest message; every one can be shown, and quoted, and written as JSON."""
    found = analyse_text(text, "t.hw", rule_facts(), strict=True).diagnostics
    for one in found:
        assert len(one.message) <= LONGEST_TEXT and len(one.help) <= LONGEST_TEXT
        assert printable(render(one), keep="\n").replace("\n", "").isprintable()
        assert len(str(as_json(one))) < 4 * LONGEST_TEXT
    return max((len(render(one)) for one in found), default=0)


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("first", range(0, STEP, 4))
def test_a_long_word_makes_no_long_message(first: int, kind: str) -> None:
    """In the place of every few words of a file."""
    for piece in PIECES[first::STEP]:
        text = TEXT[: piece.start] + WORDS[kind] + TEXT[piece.start + len(piece.text) :]
        assert longest(text) < 6 * LONGEST_WORD + 600, piece.text


@pytest.mark.parametrize(
    "place", ["dram {", "fp16 10", "Conv where", "const(", "Box", "13..", "relu_tanh", "TOPS", "a page", "ort_cpu.hw", "mine("]
)
def test_a_word_of_a_megabyte_is_told_soon(place: str) -> None:
    start = TEXT.index(place)
    word = "9" * 900_000 if place[0].isdigit() else "x" * 900_000
    begun = time.process_time()
    assert longest(TEXT[:start] + word + TEXT[start:]) < 6 * LONGEST_WORD + 600
    assert time.process_time() - begun < 10


def test_what_is_cut_says_how_much() -> None:
    short = "a" * LONGEST_WORD
    assert clipped(short) == short and clipped(f"no device `{short}`"[:LONGEST_WORD]) != ""
    said = clipped(f"no device `{'n' * 1000}z`")
    assert said.startswith("no device `nnn") and said.endswith("nnz`") and "more) …" in said and len(said) < 2 * LONGEST_WORD
    assert len(clipped("word " * 10_000)) <= LONGEST_TEXT
