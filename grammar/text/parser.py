"""Reads a text by the LALR tables that lark made of hw.lark (hw.tables.json): lexer and parser in one loop, without lark itself.

As lark's contextual lexer does, it tells words apart by what the parser takes next: `in` is a name where no condition stands. Importing
lark and having it rebuild its objects from tables would double the time that checking a file takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

TABLES = Path(__file__).with_name("hw.tables.json")
END = "$END"
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_\u00b5\u03bc")


class Token(str):
    """A word or sign of the text; `type` is its terminal in hw.lark."""

    __slots__ = ("end_pos", "start_pos", "type")
    type: str
    start_pos: int
    end_pos: int


class Tree:
    """A rule of hw.lark with what it matched, at least one token."""

    __slots__ = ("children", "data")

    def __init__(self, data: str, children: list[Any]) -> None:
        self.data = data
        self.children = children
        """Trees and tokens."""

    def tokens(self) -> Iterator[Token]:
        """All tokens, in the order of the text."""
        for child in self.children:
            if isinstance(child, Tree):
                yield from child.tokens()
            else:
                yield child


class Unexpected(Exception):
    """The text does not go on as the grammar says."""

    def __init__(self, at: int, letter: bool, ended: bool, expected: frozenset[str]) -> None:
        super().__init__(at)
        self.at = at
        """Offset of the token that does not fit, or of a letter that begins none."""
        self.letter = letter
        """Whether no token of the language begins there."""
        self.ended = ended
        """Whether the text ends too early."""
        self.expected = expected
        """Terminals that could stand there."""


class Parser:
    """The tables of one grammar. Immutable but for what is worked out on first use."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._states: list[dict[str, int]] = tables["states"]
        """By state and symbol: the state to go to, or -1 - the index of the rule to reduce by."""
        self._rules: list[tuple[str, int, bool, int]] = tables["rules"]
        """(symbol, length, whether its children go into the parent, a bit for each part whose children come into it)"""
        self._start: int = tables["start"]
        self._end: int = tables["end"]
        self._skip = re.compile(tables["skip"]).match
        self._signs = re.compile(tables["signs"]).match
        self._keywords: dict[str, str] = tables["keywords"]
        self._keyword = re.compile(rf"(?:{'|'.join(self._keywords)})\b").match
        self._words = [(name, re.compile(pattern).match) for name, pattern in tables["words"]]

    def parse(self, text: str) -> Tree:
        """The tree of a text. Raises Unexpected."""
        states, rules = self._states, self._rules
        stack = [self._start]
        values: list[Any] = []
        at = 0
        while True:
            row = states[stack[-1]]
            token = self._token(text, at, row)
            at = token.end_pos
            kind = token.type
            action = row.get(kind)
            if action is None:
                raise Unexpected(token.start_pos, False, kind == END, _terminals(row))
            while action < 0:
                symbol, length, inner, spliced = rules[-1 - action]
                if length == 1 and inner and spliced:
                    stack.pop()  # `_sum: _product` and the like, most of all rules: the value stays as it is
                else:
                    start = len(values) - length
                    children = values[start:]
                    del values[start:], stack[start + 1 :]
                    if spliced:
                        children = _spliced(children, spliced)
                    values.append(children if inner else Tree(symbol, children))
                stack.append(states[stack[-1]][symbol])
                if kind == END and stack[-1] == self._end:
                    tree: Tree = values[-1]
                    return tree
                action = states[stack[-1]].get(kind)
                if action is None:
                    raise Unexpected(token.start_pos, False, kind == END, _terminals(states[stack[-1]]))
            stack.append(action)
            values.append(token)

    def _token(self, text: str, at: int, row: Mapping[str, int]) -> Token:
        """The next token after blanks and comments, of a kind that the state takes if there is one."""
        skipped = self._skip(text, at)
        start = skipped.end() if skipped else at
        if start == len(text):
            return _made("", END, start)
        if text[start] not in _LETTERS:
            found = self._signs(text, start)
            if found and found.lastgroup and found.lastgroup in row:
                return _made(found[0], found.lastgroup, start)
        else:
            found = self._keyword(text, start)
            if found and self._keywords[found[0]] in row:
                return _made(found[0], self._keywords[found[0]], start)
        for name, match in self._words:
            if name in row and (word := match(text, start)):
                return _made(word[0], name, start)
        if not found and not any(match(text, start) for _, match in self._words):
            raise Unexpected(start, True, False, _terminals(row))
        raise Unexpected(start, False, False, _terminals(row))


def _made(text: str, kind: str, start: int) -> Token:
    token = Token(text)
    token.type = kind
    token.start_pos = start
    token.end_pos = start + len(text)
    return token


def _spliced(children: list[Any], which: int) -> list[Any]:
    """The children of parts whose bit is set in place of those parts. The list of a first part is taken over, so that a repetition of n
    items costs n steps."""
    made: list[Any] = []
    for index, child in enumerate(children):
        if not which >> index & 1:
            made.append(child)
        elif made:
            made += child
        else:
            made = child
    return made


def _terminals(row: Mapping[str, int]) -> frozenset[str]:
    return frozenset(name for name in row if name.isupper())


@cache
def parser() -> Parser:
    """The parser of hw.lark."""
    return Parser(json.loads(TABLES.read_text("utf-8")))
