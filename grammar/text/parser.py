"""hw.lark as lark's LALR parser. lark is imported on first use: it takes longer than reading a small file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .table_cache import load_tables, save_tables, table_file

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

GRAMMAR = Path(__file__).with_name("hw.lark")
OPTIONS: dict[str, Any] = {"parser": "lalr", "lexer": "contextual", "maybe_placeholders": False, "keep_all_tokens": True}
"""The contextual lexer takes only the terminals that the parser accepts next: `in` is a name where no condition can stand."""


@cache
def parser() -> Lark:
    """The parser of hw.lark; its tables are read from the user's cache (table_cache.py), or built and kept there."""
    from lark import Lark

    text = GRAMMAR.read_text("utf-8")
    file = table_file(text, OPTIONS)
    loaded = load_tables(file) if file is not None else None
    if loaded is not None:
        return loaded
    built = Lark(text, **OPTIONS)
    if file is not None:
        save_tables(built, file)
    return built


def tokens_of(tree: Tree[Token]) -> Iterator[Token]:
    """All tokens of a tree, in the order of the text."""
    for child in tree.children:
        if isinstance(child, str):
            yield child
        else:
            yield from tokens_of(child)
