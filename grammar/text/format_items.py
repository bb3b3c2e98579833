"""A .hw text as nested items of tokens and comments, which format.py lays out. The tokens are the parser's own; comments are found in
the text between two tokens, so none can be lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .diagnostics import HwError, Source
from .parser import tokens_of
from .syntax import parse, refusal

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_FORMULA = frozenset({"WHERE", "MATCH", "LET", "EMIT"})
_OPERAND = frozenset({"NAME", "QUALIFIED", "NUMBER", "UNIT", "STRING", "ATTRIBUTE", "RPAR", "RSQB", "RBRACE"})


@dataclass(frozen=True, slots=True)
class Bit:
    """One token, or one comment (kind LINE or LONG)."""

    kind: str
    text: str
    breaks: int
    """Line ends between the bit before and this one."""
    column: int
    """0-based, in the text as written."""
    binary: bool = False
    """Of a minus: whether it is between two operands."""

    @property
    def comment(self) -> bool:
        return self.kind in ("LINE", "LONG")


@dataclass(frozen=True, slots=True)
class Item:
    """A statement up to its `;` or `{`, or a comment on its own line."""

    bits: tuple[Bit, ...]
    body: tuple[Item, ...] | None = None
    opening: tuple[Bit, ...] = ()
    """Comments right of its `{`."""
    trailing: tuple[Bit, ...] = ()
    """Comments right of its end, and those that go on under them."""
    blank: bool = False
    """Whether a blank line precedes it."""
    broken: bool = False
    """Whether its block was written over several lines."""


def items_of(source: Source) -> tuple[Item, ...]:
    """Everything in a text, in order. Raises HwError with every syntax error."""
    bits = _Cursor(tuple(bits_of(source)))
    return tuple(_items(bits))


def bits_of(source: Source) -> Iterator[Bit]:
    """Tokens and comments in their order. Raises HwError with every syntax error."""
    refused = refusal(source)
    if refused:
        raise HwError((refused,))
    tree, errors = parse(source)
    if errors or tree is None:
        raise HwError(errors)
    return _scanned(source.text, [(token.type, token.start_pos or 0, token.end_pos or 0) for token in tokens_of(tree)])


def _scanned(text: str, tokens: Sequence[tuple[str, int, int]]) -> Iterator[Bit]:
    end, formula, before = 0, False, ""

    def bit(kind: str, start: int, stop: int, binary: bool = False) -> Bit:
        return Bit(kind, text[start:stop].rstrip(), text.count("\n", end, start), start - text.rfind("\n", 0, start) - 1, binary)

    for kind, start, stop in (*tokens, ("", len(text), len(text))):
        for found in _COMMENT.finditer(text, end, start):
            yield bit("LINE" if found[0].startswith("//") else "LONG", *found.span())
            end = found.end()
        if kind:
            yield bit(kind, start, stop, kind == "MINUS" and formula and before in _OPERAND)
        end = stop
        ends = kind in ("SEMI", "ELSE") or (kind == "LBRACE" and before != "IN")
        formula, before = kind in _FORMULA or (formula and not ends), kind


class _Cursor:
    def __init__(self, bits: tuple[Bit, ...]) -> None:
        self.bits = bits
        self.at = 0

    def peek(self) -> Bit | None:
        return self.bits[self.at] if self.at < len(self.bits) else None

    def take(self) -> Bit:
        self.at += 1
        return self.bits[self.at - 1]

    def comments_here(self) -> tuple[Bit, ...]:
        """Comments on the line of the last bit, and comments straight under such a one."""
        found: list[Bit] = []
        while (bit := self.peek()) is not None and bit.comment:
            under = bit.breaks == 1 and bit.kind == "LINE" and found and found[-1].kind == "LINE" and found[-1].column == bit.column
            if bit.breaks and not under:
                break
            found.append(self.take())
        return tuple(found)


def _items(cursor: _Cursor) -> Iterator[Item]:
    """Items up to the end of a block (its `}` is left) or of the text."""
    while (bit := cursor.peek()) is not None and bit.kind != "RBRACE":
        if bit.comment:
            cursor.take()
            yield Item((bit,), blank=bit.breaks > 1, trailing=cursor.comments_here())
        else:
            yield _statement(cursor)


def _statement(cursor: _Cursor) -> Item:
    bits: list[Bit] = []
    before = ""
    while True:
        bit = cursor.take()
        bits.append(bit)
        if bit.kind == "SEMI" or (bit.kind == "LBRACE" and before != "IN"):
            break
        before = before if bit.comment else bit.kind
    item = Item(tuple(bits), blank=bits[0].breaks > 1)
    if bits[-1].kind == "SEMI":
        return replace(item, trailing=cursor.comments_here())
    start = cursor.at
    opening = cursor.comments_here()
    body = tuple(_items(cursor))
    cursor.take()
    broken = any(bit.breaks or "\n" in bit.text for bit in cursor.bits[start : cursor.at])
    return replace(item, body=body, opening=opening, broken=broken, trailing=cursor.comments_here())
