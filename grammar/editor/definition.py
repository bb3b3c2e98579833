"""Where what is under an offset is declared, across includes; and the outline of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..text.diagnostics import Source, Span
from ..text.pieces import Piece
from ..text.syntax import Arg, Item, Rule, Statement, read
from ..words.properties import row_anywhere
from .place import piece_at, place_at, statement_of

DECLARED = ("device", "memory", "model", "rule", "table")
"""What a bare name may be the name of."""
Load = Callable[[str, Source], Source | str]


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str
    kind: str
    """target, device, memory, link, table, rule, deploy, model, property"""
    span: Span
    whole: Span
    children: tuple[Symbol, ...]


def symbols(source: Source) -> tuple[Symbol, ...]:
    """The outline of one file: what has a name."""
    return tuple(_symbols(read(source).items))


def _symbols(items: tuple[Item, ...]) -> Iterator[Symbol]:
    for item in items:
        if isinstance(item, Rule):
            yield Symbol(item.name.text, "rule", item.name.span, item.span, ())
        elif (row := row_anywhere("", item.head.text)) and row.named and item.args and item.body is not None:
            last = item.args[2 if item.head.text == "link" and len(item.args) > 2 else 0]
            span = item.args[0].span.to(last.span)
            yield Symbol(span.text, item.head.text, span, item.span, tuple(_symbols(item.body)))
        elif item.head.text == "model" and item.args:
            yield Symbol(item.args[0].text, "model", item.args[0].span, item.span, ())
        elif item.head.text in ("precision", "limits", "amend"):
            name = item.args[0].span.text if item.args else item.head.text
            yield Symbol(name, "property", item.head.span, item.span, ())


def definition(source: Source, offset: int, load: Load) -> Span | None:
    """The name that declares what is under the offset, or an included file's beginning; None where nothing is found."""
    index, pieces = piece_at(source.text, offset)
    if index < 0:
        return None
    piece = pieces[index]
    statement = statement_of(pieces, index)
    if statement[0].text == "include" and piece.text.startswith('"'):
        included = load(piece.text[1:-1], source)
        return Span(included, 0, 0) if isinstance(included, Source) else None
    files = list(_files(source, load, set()))
    if piece.text.startswith("&"):
        return _path(piece, offset, files)
    return _declared(piece.text, _kinds(source.text, piece, statement), files)


def _kinds(text: str, piece: Piece, statement: list[Piece]) -> tuple[str, ...]:
    before = [item.text for item in statement if item.start < piece.start]
    if before[-1:] == ["extends"]:
        return ("target",)
    if before[-1:] == ["->"] and before[0] == "rewrite":
        return ("rule",)
    if before[:1] == ["link"] and place_at(text, piece.start).block == "deploy":
        return ("model",)
    row = row_anywhere("", before[0]) if before else None
    if row and "table" in row.takes:
        return ("device", "table")
    if (row and "device" in row.takes) or before[-1:] == ["on"]:
        return ("device",)
    if before and before[-1] in (*DECLARED, "target"):
        return (before[-1],)
    return () if place_at(text, piece.start).inside_text else DECLARED


def _files(source: Source, load: Load, seen: set[str]) -> Iterator[Source]:
    """The file and what it includes, each once."""
    if source.name in seen or len(seen) > 100:
        return
    seen.add(source.name)
    yield source
    for item in read(source).items:
        if isinstance(item, Statement) and item.head.text == "include" and item.args and item.args[0].kind == "string":
            included = load(item.args[0].text, source)
            if isinstance(included, Source):
                yield from _files(included, load, seen)


def _declared(name: str, kinds: tuple[str, ...], files: list[Source]) -> Span | None:
    for source in files:
        todo = list(symbols(source))
        while todo:
            symbol = todo.pop(0)
            if symbol.name == name and symbol.kind in kinds:
                return symbol.span
            todo += symbol.children
    return None


def _path(piece: Piece, offset: int, files: list[Source]) -> Span | None:
    """`&a16.npu.supports`: what the word under the offset names."""
    upto = piece.text[1 : max(2, offset - piece.start)].count(".") + 1
    words = piece.text[1:].split(".")[:upto]
    found: Span | None = None
    for source in files:
        for item in read(source).items:
            if isinstance(item, Statement) and item.head.text == "target" and item.words[:1] == (words[0],):
                found = _inside(item, words[1:]) or found
    return found


def _inside(item: Statement, words: list[str]) -> Span | None:
    if not words:
        return (item.args[0] if item.args and item.head.text in ("target", "device", "memory", "link") else item.head).span
    for child in item.body or ():
        if isinstance(child, Statement):
            named: Arg = child.args[0] if child.args and child.head.text in ("device", "memory") else child.head
            if words[0] in (named.text, child.head.text):
                rest = words[1:] if words[0] == named.text else words[2:]
                inner = _inside(child, rest)
                if inner is not None and (words[0] == named.text or words[1:2] == [child.args[0].text] if child.args else True):
                    return inner
    return None
