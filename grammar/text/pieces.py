"""A text with syntax errors as recovery.py sees it: a draft that is repaired, and its tokens."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|\s+|\ufeff)|"[^"\n]*"|<->|->|\.\.|::|[<>=!]=|@\w+|&?[\wµμ]+(?:\.(?!\.)\w+|/s\b)*|.""", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Draft:
    """The text being repaired; `inserted` are the offsets in it of characters that the file does not have."""

    text: str
    inserted: tuple[int, ...] = ()

    def original(self, offset: int) -> int:
        """The offset in the file of an offset in the draft."""
        return offset - bisect_left(self.inserted, offset)

    def insert(self, at: int, added: str) -> Draft:
        moved = [place if place < at else place + len(added) for place in self.inserted]
        return Draft(self.text[:at] + added + self.text[at:], tuple(sorted([*moved, *range(at, at + len(added))])))

    def blank(self, start: int, end: int, keep: str = "") -> Draft:
        """start..end replaced by spaces, starting with `keep`; line ends stay."""
        blanks = "".join(sign if sign == "\n" else " " for sign in self.text[start + len(keep) : end])
        return Draft(self.text[:start] + keep + blanks + self.text[end:], self.inserted)


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of the draft, found without the grammar."""

    text: str
    start: int
    end: int
    first: bool
    """First on its line."""
    block: bool = False
    """Whether it is a `{` or `}` of a block, not of a set."""


def split_pieces(text: str) -> list[Piece]:
    """The tokens of a text, whatever their order."""
    found: list[Piece] = []
    first = True
    for match in _TOKEN.finditer(text):
        if match["skip"] is not None:
            first = first or "\n" in match[0]
            continue
        found.append(Piece(match[0], match.start(), match.end(), first, match[0] in "{}"))
        first = False
    return _without_sets(found)


def _without_sets(pieces: list[Piece]) -> list[Piece]:
    """The same with the braces of `in { … }` not marked as blocks."""
    opened: int | None = None
    for index, piece in enumerate(pieces):
        if piece.text == "{":
            opened = index if index and pieces[index - 1].text == "in" else None
            if opened is not None:
                pieces[index] = replace(piece, block=False)
        elif piece.text == "}" and opened is not None:
            pieces[index] = replace(piece, block=False)
            opened = None
        elif piece.text == ";":
            opened = None
    return pieces


def indent_at(text: str, at: int) -> int:
    """Width of the indentation of the line that holds an offset."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return len(line) - len(line.lstrip())


def block_depth(pieces: list[Piece]) -> int:
    """How many blocks are open after these tokens."""
    return sum((piece.text == "{") - (piece.text == "}") for piece in pieces if piece.block)


def ends_statement(piece: Piece) -> bool:
    """Whether a statement ends or a block starts here."""
    return piece.text == ";" or piece.block


def open_round(pieces: list[Piece], index: int) -> int:
    """How many `(` are open before pieces[index], in its statement."""
    inside = pieces[statement_start(pieces, index) : index]
    return sum((piece.text == "(") - (piece.text == ")") for piece in inside)


def statement_start(pieces: list[Piece], index: int) -> int:
    """Index of the first piece of the statement that holds pieces[index]."""
    while index > 0 and not ends_statement(pieces[index - 1]):
        index -= 1
    return index


def closing_index(pieces: list[Piece], opening: int) -> int:
    """Index of the `}` that closes a block, or of the last token."""
    depth = 0
    for index in range(opening, len(pieces)):
        depth += block_depth(pieces[index : index + 1])
        if depth == 0:
            return index
    return len(pieces) - 1
