"""Unmatched brackets and quotes: which one is missing or extra, and the draft without the error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .pieces import Draft, Piece, block_depth, ends_statement, indent_at, statement_start

JOINING = ("and", "or", "not", "in", "where", "else")
_OPENERS = ("target", "table", "device", "memory", "link", "precision", "limits", "supports", "deny", "kernel", "amend")


@dataclass(frozen=True, slots=True)
class Repair:
    """One syntax error (offsets in the draft) and the draft without it."""

    code: str
    start: int
    end: int
    message: str
    help: str
    fixed: Draft
    note: tuple[str, int] | None = None


# --- quotes


def unclosed_string(draft: Draft, at: int, line_end: int, pieces: list[Piece], index: int) -> Repair:
    """A `"` without a second one on its line: the last of a string whose first is missing, or the first of one that does not end."""
    rest = draft.text[at + 1 : line_end]
    begin = statement_start(pieces, index)
    if begin + 1 < index and re.fullmatch(r"\s*;?\s*(//.*)?", rest):
        start = pieces[begin + 1].start
        return Repair("HW0001", at, at + 1, "missing opening quote", "", draft.blank(start, at).blank(start, start + 1, '"'))
    note = index >= 2 and pieces[index - 1].text == "(" and pieces[index - 2].text.startswith("@")
    end = re.search(r"\)\s*(?=[;,}]|$)|$" if note else r"\s*;\s*(?=//|\}|$)|$", rest)
    place = at + 1 + (end.start() if end else len(rest))
    return Repair("HW0001", at, line_end, "the string is not closed", "a string cannot span lines", draft.insert(place, '"'))


def unopened_note(draft: Draft, pieces: list[Piece], index: int) -> Repair:
    """`@src(a page")` or `@src(a page)`"""
    start = pieces[index].start
    if pieces[index].first or pieces[index].text in ";,)":
        paren, tail = pieces[index - 1], pieces[index].end if pieces[index].text == ")" else pieces[index - 1].end
        return Repair("HW0001", paren.start, paren.end, "unexpected `(`", "write the source in quotes", draft.blank(paren.start, tail))
    line_end = draft.text.find("\n", start) if "\n" in draft.text[start:] else len(draft.text)
    quote, close = draft.text.find('"', start, line_end), re.compile(r"\)\s*(?=[;,}]|$)").search(draft.text, start, line_end)
    fixed = draft if quote >= 0 else draft.insert(close.start() if close else line_end, '"')
    return Repair("HW0001", start, pieces[index].end, "the source of a number must be in quotes", "", fixed.insert(start, '"'))


# --- sets


def open_set(draft: Draft, pieces: list[Piece], index: int) -> Repair | None:
    """A set of a condition without its `{` (seen at the comma) or without its `}` (seen at the end of the condition)."""
    begin = index
    while begin > 0 and not ends_statement(pieces[begin - 1]):
        begin -= 1
    asked = next((i for i in range(index - 1, begin, -1) if pieces[i].text == "in"), None)
    if asked is None or asked + 1 >= len(pieces):
        return None
    first = pieces[asked + 1]
    if first.text == "{":
        closed = any(piece.text == "}" and not piece.block for piece in pieces[asked + 1 : index])
        end = next((i for i in range(asked + 2, index + 1) if pieces[i].text in (*JOINING, ";", ")") or pieces[i].block), index)
        if closed or end == asked + 2 or (end == index and pieces[index].text not in (*JOINING, ";", ")", "}")):
            return None
        if pieces[end - 1].text == "," and pieces[index].text == "}":
            last = pieces[end - 1]
            return Repair("HW0001", last.start, last.end, "expected a value after `,`", "", draft.blank(last.start, last.end))
        fixed = draft.insert(pieces[end - 1].end, "}")
        return Repair("HW0001", first.start, first.end, "the set is not closed", "add the missing `}`", fixed)
    ends = next((piece.text for piece in pieces[index:] if piece.text in ("}", "{", ";")), "")
    if ends != "}" or pieces[index].text not in (",", "}"):
        return None
    help = f"write `{{` before `{first.text}`"
    return Repair("HW0001", first.start, first.end, "a set is written in braces", help, draft.insert(first.start, "{ "))


# --- blocks


def unopened(draft: Draft, pieces: list[Piece], index: int) -> Repair:
    """More `}` than `{`: the indentation shows whether a `{` is missing or an earlier `}` is extra."""
    extra = _extra_closing(draft, pieces, index)
    headless = _headless(pieces, index)
    if headless is not None and (extra is None or headless < extra):
        begin, last = headless, _head_end(pieces, headless)
        head = draft.text[pieces[begin].start : pieces[last].end]
        piece = pieces[last]
        return Repair("HW0003", piece.start, piece.end, f"missing `{{` after `{' '.join(head.split())}`", "", draft.insert(piece.end, " {"))
    piece = pieces[index if extra is None else extra]
    what = "unmatched `}`" if extra is None else "extra `}`"
    return Repair("HW0001", piece.start, piece.end, what, "", draft.blank(piece.start, piece.end))


def _extra_closing(draft: Draft, pieces: list[Piece], index: int) -> int | None:
    """The first `}` that is neither on the line of its `{` nor starts a line with the same indentation."""
    opened: list[Piece] = []
    for i, piece in enumerate(pieces[:index]):
        if piece.block and piece.text == "{":
            opened.append(piece)
        elif piece.block and opened:
            opener = opened.pop()
            if "\n" not in draft.text[opener.start : piece.start]:
                continue
            if not _closes_line(draft, pieces, i) or indent_at(draft.text, piece.start) != indent_at(draft.text, opener.start):
                return i
    return None


def _closes_line(draft: Draft, pieces: list[Piece], index: int) -> bool:
    """Whether a `}` starts its line, or ends one after a `;`: `Softmax; }`."""
    return pieces[index].first or (index > 0 and pieces[index - 1].text == ";")


def _headless(pieces: list[Piece], index: int) -> int | None:
    """Index of the last statement before pieces[index] that needs a block and has none."""
    found: int | None = None
    for i, piece in enumerate(pieces[:index]):
        if piece.text not in _OPENERS or (i and not ends_statement(pieces[i - 1])) or piece.text == pieces[index].text:
            continue
        end = next((j for j in range(i, len(pieces)) if ends_statement(pieces[j])), len(pieces) - 1)
        words = [other.text for other in pieces[i + 1 : end]]
        plain = (piece.text == "supports" and words[:1] == ["all"]) or (piece.text == "deny" and len(words) == 1)
        limit = piece.text == "memory" and "<=" in words
        if pieces[end].text != "{" and not plain and not limit:
            found = i
    return found


def _head_end(pieces: list[Piece], begin: int) -> int:
    """Index of the last piece of a block's head: `device npu : ane`, `link a <-> b`, `supports fp16, fp32`."""
    texts = [piece.text for piece in pieces[begin : begin + 64]] + [""] * 4
    match texts[0]:
        case "precision" | "limits" | "deny" | "kernel":
            return begin
        case "target":
            return begin + (3 if texts[2] == "extends" else 1)
        case "device":
            return begin + (3 if texts[2] == ":" else 1)
        case "link":
            return begin + 3
        case "supports":
            end = 1
            while texts[end + 1] == ",":
                end += 2
            return begin + end
        case _:
            return begin + 1


def stray_opening(draft: Draft, pieces: list[Piece], index: int) -> Repair | None:
    """An extra `{` just before what cannot start a statement."""
    if index == 0 or pieces[index - 1].text != "{" or not pieces[index - 1].block or block_depth(pieces) <= 0:
        return None
    brace = pieces[index - 1]
    return Repair("HW0001", brace.start, brace.end, "unexpected `{`", "", draft.blank(brace.start, brace.end))


def wrong_opening(draft: Draft, pieces: list[Piece], index: int) -> Repair | None:
    """Another bracket at the end of a line, in place of the `{` of a block."""
    piece = pieces[index]
    if piece.text not in (")", "]", "}", "(", "[") or index == 0 or ends_statement(pieces[index - 1]):
        return None
    last = index + 1 == len(pieces) or pieces[index + 1].first
    excess = block_depth(pieces) <= (-2 if piece.text == "}" else -1)
    if not last or not excess or piece.first or pieces[statement_start(pieces, index)].text not in _OPENERS:
        return None
    return Repair("HW0001", piece.start, piece.end, f"unexpected `{piece.text}`", "write `{`", draft.blank(piece.start, piece.end, "{"))


def stray_closing(draft: Draft, pieces: list[Piece], index: int) -> Repair | None:
    """An extra `}` in the middle of a statement."""
    piece, after = pieces[index], pieces[index + 1] if index + 1 < len(pieces) else None
    if piece.text != "}" or not piece.block or piece.first or after is None or after.first or after.text == "}":
        return None
    if index == 0 or ends_statement(pieces[index - 1]) or block_depth(pieces) >= 0:
        return None
    return Repair("HW0001", piece.start, piece.end, "unexpected `}`", "", draft.blank(piece.start, piece.end))
