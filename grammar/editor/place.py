"""Where an offset of a text is: in which blocks, in which statement, after which words. Works on unfinished text."""

from __future__ import annotations

from dataclasses import dataclass

from ..text.pieces import Piece, ends_statement, split_pieces
from ..words.schema import inner


@dataclass(frozen=True, slots=True)
class Place:
    blocks: tuple[str, ...]
    """Kinds of the open blocks, outermost first: file, target, device, operators …"""
    heads: tuple[tuple[str, ...], ...]
    """The first words of each open block: ("device", "npu", ":", "ane")."""
    before: tuple[Piece, ...]
    """Pieces of the statement in front of the offset, the one being written not included."""
    word: str
    """What is being written at the offset, up to it."""
    inside_text: bool
    """In a string or a comment."""

    @property
    def block(self) -> str:
        return self.blocks[-1]


def place_at(text: str, offset: int) -> Place:
    """The place of an offset; 0 <= offset <= len(text)."""
    pieces = [piece for piece in split_pieces(text) if piece.start < offset]
    word = ""
    if pieces and pieces[-1].end >= offset and (pieces[-1].text[0].isalnum() or pieces[-1].text[0] in "_@&"):
        last = pieces.pop()
        word = text[last.start : offset]
    blocks, heads, begin = ["file"], [], 0
    for index, piece in enumerate(pieces):
        if not ends_statement(piece):
            continue
        if piece.text == "{":
            head = tuple(item.text for item in pieces[begin:index])
            blocks.append(("rule" if head[:1] == ("rule",) else inner(blocks[-1], head[0])) if head else "")
            heads.append(head)
        elif piece.text == "}" and len(blocks) > 1:
            blocks.pop()
            heads.pop()
        begin = index + 1
    return Place(tuple(blocks), tuple(heads), tuple(pieces[begin:]), word, _in_text(text, offset))


def _in_text(text: str, offset: int) -> bool:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    outside = line.split('"')[::2]
    return line.count('"') % 2 == 1 or any("//" in part for part in outside)


def piece_at(text: str, offset: int) -> tuple[int, list[Piece]]:
    """(index, all pieces) of the piece under an offset; index -1 where there is none."""
    pieces = split_pieces(text)
    for index, piece in enumerate(pieces):
        if piece.start <= offset < piece.end or (offset == piece.end and (piece.text[-1].isalnum() or piece.text[-1] in "_%")):
            return index, pieces
    return -1, pieces


def statement_of(pieces: list[Piece], index: int) -> list[Piece]:
    """The pieces of the statement that holds one, from its head on."""
    begin = index
    while begin > 0 and not ends_statement(pieces[begin - 1]):
        begin -= 1
    end = index
    while end + 1 < len(pieces) and not ends_statement(pieces[end]):
        end += 1
    return pieces[begin : end + 1]
