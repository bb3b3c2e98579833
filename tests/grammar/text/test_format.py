"""The layout: what it looks like, and that it changes nothing else."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.grammar import HwError
from autoglmc.grammar.text.diagnostics import Source
from autoglmc.grammar.text.format import format_text
from autoglmc.grammar.text.format_items import bits_of
from autoglmc.grammar.text.syntax import read
from autoglmc.targets.stock import FOLDER

CASE = Path(__file__).parents[1] / "format"
WORDS = ("peak", "size", "Conv", "com.microsoft::Gelu", "x", "GB/s", "npu", "not_a_word", "\u00b5s", "in_place", "a")
SIGNS = (":", ",", "->", "<->", "|", "?", "<=", ">=", "<", ">", "==", "..", "-", "=", "%")
COMMENTS = ("// a note\n", "//\n", "/* one */", "/* two\n   lines */", '// not "a string" ; { } /*\n')
BLANKS = st.text(" \t\n", min_size=1, max_size=4)


@st.composite
def gaps(draw: st.DrawFn) -> str:
    """Blanks, perhaps with comments between them."""
    return "".join(draw(BLANKS) + draw(st.sampled_from(("", "", "", *COMMENTS))) for _ in range(draw(st.integers(1, 3)))) + draw(BLANKS)


ATOMS = st.sampled_from(("1", "2.5", "1e-3", "4 MiB", "x", "attr.axis", '"linear"', "opset", "[1, 2]", "[]"))
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("and", "or", "+", "-", "*", "/", "^")), inner).map(lambda p: f"( {p[0]} ) {p[1]} ( {p[2]} )"),
        inner.map("not ( {} )".format),
        inner.map("- ( {} )".format),
        inner.map("rank ( {} )".format),
        inner.map("( {} ) in {{ a , fp16 }}".format),
        inner.map("( {} ) in 3 .. 4".format),
    ),
    max_leaves=4,
)
PROVENANCE = st.sampled_from(("@guess", '@src ( "a page" )'))
ARGUMENTS = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(SIGNS), st.just('"a // b"'), st.just("17"), PROVENANCE), max_size=6)


@st.composite
def statements(draw: st.DrawFn, depth: int = 2) -> list[str]:
    """Tokens of one statement."""
    tokens = [draw(st.sampled_from((*WORDS, "supports", "kernel", "rewrite", "device"))), *draw(ARGUMENTS)]
    if draw(st.booleans()):
        tokens += ["where", *draw(FORMULAS).split(" ")]
    if not depth or draw(st.integers(0, 2)):
        return [*tokens, ";"]
    inner = draw(st.lists(statements(depth=depth - 1), max_size=3))
    return [*tokens, "{", *(token for statement in inner for token in statement), "}"]


RULES = st.tuples(FORMULAS, FORMULAS).map(
    lambda f: f"rule r ( x , y ) {{ match {f[0]} ; let a = {f[1]} , b = 1 ; emit a , {f[1]} ; error abs 1 over real ; }}".split(" ")
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """Valid syntax with odd blanks and comments everywhere."""
    items = draw(st.lists(st.one_of(statements(), RULES), min_size=1, max_size=4))
    return "".join(draw(gaps()) + token for item in items for token in item) + draw(gaps())


def shape(value: object) -> object:
    """A syntax tree without places."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [
            type(value).__name__,
            *(shape(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name not in ("span", "source")),
        ]
    return [shape(item) for item in value] if isinstance(value, tuple) else value


def comments(text: str) -> list[str]:
    return [bit.text for bit in bits_of(Source("", text)) if bit.comment]


def unchanged_but_for_layout(text: str) -> None:
    done = format_text(text)
    assert shape(read(Source("", done)).items) == shape(read(Source("", text)).items)
    assert format_text(done) == done
    assert comments(done) == comments(text)


@settings(max_examples=60)
@given(files())
def test_layout_changes_nothing_else(text: str) -> None:
    assert not read(Source("", text)).errors, text
    unchanged_but_for_layout(text)
    done = format_text(text)
    assert done.endswith("\n") and not done.endswith("\n\n") and not done.startswith("\n")
    assert "\n\n\n" not in re.sub(r"/\*.*?\*/", "C", done, flags=re.DOTALL)


def test_stock_targets_with_odd_blanks() -> None:
    """Every blank of every stock target at random another one: the stock target again, but for breaks inside statements."""
    dice = random.Random(3)
    for path in sorted(FOLDER.rglob("*.hw")):
        text = path.read_text("utf-8")
        bits = list(bits_of(Source("", text)))
        odd = "".join(
            ("\n" * bit.breaks if bit.breaks else dice.choice((" ", "   ", "\t"))) + " " * dice.randrange(5) + bit.text for bit in bits
        )
        unchanged_but_for_layout(odd)


def test_looks_like_this() -> None:
    text = (CASE / "untidy.hw").read_text("utf-8")
    assert format_text(text) == (CASE / "tidy.hw").read_text("utf-8")


def test_a_file_with_errors_is_refused() -> None:
    with pytest.raises(HwError) as caught:
        format_text("hw 1\ntarget x { name 'a'; ", "x.hw")
    assert len(caught.value.diagnostics) >= 2 and caught.value.diagnostics[0].span.source.name == "x.hw"


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff", "// only a note", "/* a */ // b"])
def test_texts_without_statements(text: str) -> None:
    assert format_text(text) == (f"{text.strip()}\n" if text.strip(" \n\ufeff") else "")


def test_windows_line_ends_become_plain_ones() -> None:
    assert format_text("hw 1;\r\n// a\r\n\r\ntarget t { }\r\n") == "hw 1;\n// a\n\ntarget t {}\n"
