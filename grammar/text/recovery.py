"""Finds several syntax errors in one run: report the first, repair a draft of the text there, parse again.

A repair inserts what is missing (`;`, `}`) or blanks out what is wrong (a token, else the statement). Repairs are local, so one error gives
one message; resuming the parser at the error was tried and gave five. Offsets in the draft are mapped back to the text as written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from .brackets import JOINING, Repair, open_set, stray_closing, stray_opening, unclosed_string, unopened, unopened_note, wrong_opening
from .diagnostics import Diagnostic, Note, Source, Span
from .parser import parser, tokens_of
from .pieces import Draft, Piece, block_depth, closing_index, ends_statement, indent_at, open_round, split_pieces, statement_start

if TYPE_CHECKING:
    from lark import Token, Tree

MAX_ERRORS = 20
READ_BUDGET = 4 << 20
"""Characters to parse again in total: a large file gets fewer rounds."""

_OPERATORS = {"&": ("&&", "and"), "|": ("||", "or"), "!": ("!", "not")}
RESERVED = ("match", "let", "emit", "where", "rule", "else")


def recover(source: Source, error: UnexpectedInput) -> tuple[Tree[Token] | None, tuple[Diagnostic, ...]]:
    """The tree of what could be parsed (None if too little could) and the syntax errors, of which `error` is the first."""
    draft = Draft(source.text)
    errors: list[Diagnostic] = []
    rounds = max(2, min(MAX_ERRORS, READ_BUDGET // (len(source.text) + 1)))
    while True:
        repair = _diagnose(draft, error)
        errors.append(_report(source, draft, repair))
        if repair.fixed == draft or len(errors) == rounds:
            return None, tuple(errors)
        draft = repair.fixed
        try:
            return _mapped(parser().parse(draft.text), draft), tuple(errors)
        except UnexpectedInput as following:
            error = following


def _report(source: Source, draft: Draft, repair: Repair) -> Diagnostic:
    start = draft.original(repair.start)
    span = Span(source, start, max(start + 1, draft.original(repair.end)))
    notes: tuple[Note, ...] = ()
    if repair.note:
        place = draft.original(repair.note[1])
        notes = (Note(repair.note[0], Span(source, place, place + 1)),)
    return Diagnostic(repair.code, "error", span, repair.message, repair.help, notes)


def _mapped(tree: Tree[Token], draft: Draft) -> Tree[Token]:
    if draft.inserted:
        for token in tokens_of(tree):
            token.start_pos, token.end_pos = draft.original(token.start_pos or 0), draft.original(token.end_pos or 0)
    return tree


def _diagnose(draft: Draft, error: UnexpectedInput) -> Repair:
    pieces = split_pieces(draft.text)
    ended, wanted = False, frozenset[str]()
    if isinstance(error, UnexpectedToken):
        ended, wanted = error.token.type == "$END", frozenset(error.expected)
    elif isinstance(error, UnexpectedCharacters):
        wanted = frozenset(error.allowed)
    at = len(draft.text) if ended else error.pos_in_stream or 0
    index = next((i for i, piece in enumerate(pieces) if piece.end > at), len(pieces))
    if isinstance(error, UnexpectedCharacters) and (repair := _bad_character(draft, at, pieces, index)):
        return repair
    if index < len(pieces) and not ended and (repair := _stray(draft, pieces, index) or open_set(draft, pieces, index)):
        return repair
    if repair := _missing_end(draft, pieces, index, "SEMI" in wanted):
        return repair
    if ended:
        return _unclosed(draft, pieces)
    return _unexpected(draft, pieces, index, wanted)


def _bad_character(draft: Draft, at: int, pieces: list[Piece], index: int) -> Repair | None:
    """A character that starts no token."""
    text = draft.text
    line_end = text.find("\n", at) if "\n" in text[at:] else len(text)
    sign = text[at]
    if sign == '"':
        return unclosed_string(draft, at, line_end, pieces, index)
    if sign.isspace() or not sign.isprintable():
        help = "separate words with spaces, tabs or line ends"
        return Repair("HW0001", at, at + 1, f"unexpected character U+{ord(sign):04X}", help, draft.blank(at, at + 1))
    if sign == "#":
        return Repair("HW0001", at, at + 1, "unexpected `#`", "a comment starts with `//`", draft.blank(at, line_end))
    if text.startswith("/*", at):
        return Repair("HW0003", at, at + 2, "the comment is not closed", "end it with `*/`", draft.blank(at, len(text)))
    if sign == "'":
        close = text.find("'", at + 1, line_end)
        fixed = draft.blank(at, at + 1, '"') if close < 0 else draft.blank(at, at + 1, '"').blank(close, close + 1, '"')
        return Repair("HW0001", at, (close if close > 0 else at) + 1, "unexpected `'`", "strings are written in double quotes", fixed)
    if sign in _OPERATORS and text.startswith(_OPERATORS[sign][0], at):
        sign, word = _OPERATORS[sign]
        fixed = draft.blank(at, at + len(sign)).insert(at, f" {word} ")
        return Repair("HW0001", at, at + len(sign), f"unexpected `{sign}`", f"write `{word}`", fixed)
    return None


def _missing_end(draft: Draft, pieces: list[Piece], index: int, accepted: bool) -> Repair | None:
    """A statement without its `;`, seen at the end of the file, at a `}` or at the first word of a line."""
    if index == 0 or ends_statement(pieces[index - 1]):
        return None
    last = pieces[index - 1]
    at_end = index == len(pieces)
    inside = not at_end and open_round(pieces, index) > 0
    if accepted and not inside and (at_end or pieces[index].text == "}" or pieces[index].first):
        return _no_semicolon(draft, last)
    # `<= 16384⏎ Softmax where …`: the first word of the line was read as the unit of the number before it
    after_number = index >= 2 and pieces[index - 2].text[0].isdigit() and last.text[0].isalpha() and last.text not in JOINING
    if not at_end and last.first and after_number:
        return _no_semicolon(draft, pieces[index - 2])
    return None


def _no_semicolon(draft: Draft, last: Piece) -> Repair:
    fixed = draft.insert(last.end, ";")
    help = "a statement ends with `;` or a `{ … }` block"
    return Repair("HW0002", last.end, last.end + 1, f"missing `;` after `{last.text}`", help, fixed)


def _unclosed(draft: Draft, pieces: list[Piece]) -> Repair:
    """The text ends inside a block. A `}` indented less than its `{` shows which block was meant to end."""
    open_at: list[int] = []
    suspect: int | None = None
    for index, piece in enumerate(pieces):
        if piece.text in "([" or (piece.text == "{" and piece.block):
            open_at.append(index)
        elif (piece.text in ")]" or (piece.text == "}" and piece.block)) and open_at:
            begin = open_at.pop()
            if suspect is None and piece.first and indent_at(draft.text, piece.start) < indent_at(draft.text, pieces[begin].start):
                suspect = begin
    if not open_at:  # the text ends inside a formula or a rule's head
        end = pieces[-1].end if pieces else 0
        start = pieces[-1].start if pieces else 0
        return Repair("HW0001", start, end, "the file ends in the middle of a statement", "", _panic(draft, pieces, len(pieces) - 1))
    begin = open_at[-1] if suspect is None else suspect
    head = " ".join(piece.text for piece in pieces[statement_start(pieces, begin) : begin][:2])
    closing = "".join({"{": "}", "(": ")", "[": "]"}[pieces[index].text] for index in reversed(open_at))
    what = f"the block of `{head}` is not closed" if head else "the block is not closed"
    return Repair("HW0003", pieces[begin].start, pieces[begin].end, what, "add the missing `}`", _closed(draft, pieces, begin, closing))


def _closed(draft: Draft, pieces: list[Piece], begin: int, closing: str) -> Draft:
    """The missing brackets: one before the first line that is indented no deeper than the open block's, the rest at the end."""
    level = indent_at(draft.text, pieces[begin].start)
    for piece in pieces[begin + 1 :]:
        if piece.first and piece.text != "}" and pieces[begin].text == "{" and indent_at(draft.text, piece.start) <= level:
            return draft.insert(len(draft.text), closing[1:]).insert(piece.start, "}")
    return draft.insert(len(draft.text), closing)


def _unexpected(draft: Draft, pieces: list[Piece], index: int, wanted: frozenset[str]) -> Repair:
    piece = pieces[index]
    if piece.text == "}" and block_depth(pieces[:index]) <= 0:
        return unopened(draft, pieces, index)
    if piece.text == "{" and (index == 0 or ends_statement(pieces[index - 1])):
        return Repair("HW0001", piece.start, piece.end, "a block without a name", "", draft.insert(piece.start, "_ "))
    alone = piece.first and index + 1 < len(pieces) and pieces[index + 1].first
    if alone and not piece.block and (index == 0 or ends_statement(pieces[index - 1])):
        return Repair("HW0001", piece.start, piece.end, f"unexpected `{piece.text}`", "", draft.blank(piece.start, piece.end))
    if wanted == {"STRING"}:
        return unopened_note(draft, pieces, index)
    if repair := stray_opening(draft, pieces, index):
        return repair
    begin = pieces[statement_start(pieces, index)].text
    if piece.text in ("emit", "let", "match", "error") and begin in ("match", "let", "emit", "error") and _is_value(pieces[index - 1]):
        return _no_semicolon(draft, pieces[index - 1])
    word = next((piece for piece in pieces[statement_start(pieces, index) + 1 : index] if piece.text in ("if", "when")), None)
    if word is not None:
        fixed = _panic(draft, pieces, index)
        return Repair("HW0001", word.start, word.end, f"unexpected `{word.text}`", "a condition starts with `where`", fixed)
    return Repair(
        "HW0001", piece.start, piece.end, f"unexpected `{piece.text}`", _hint(pieces, index, wanted), _panic(draft, pieces, index)
    )


def _stray(draft: Draft, pieces: list[Piece], index: int) -> Repair | None:
    """A `;` with nothing before it; a `;` or a `}` in the middle of a statement."""
    if repair := wrong_opening(draft, pieces, index) or stray_closing(draft, pieces, index):
        return repair
    piece, after = pieces[index], pieces[index + 1] if index + 1 < len(pieces) else None
    if piece.text != ";" or index == 0:
        return None
    if pieces[index - 1].text in ("}", ";") or (pieces[index - 1].text == "{" and block_depth(pieces) <= 0):
        fixed = draft.blank(piece.start, piece.end)
        if after and not after.first and after.text != "}" and (after.text in RESERVED or not after.text[0].isalpha()):
            # the head before the `;` is lost, so drop its rest too
            fixed = _panic(draft.blank(piece.start, piece.end, "_"), pieces, index + 1)
        elif pieces[index - 1].text == "}":  # a habit: report only the first
            for begin, end in zip(pieces[index:], pieces[index + 1 :], strict=False):
                fixed = fixed.blank(end.start, end.end) if begin.block and begin.text == "}" and end.text == ";" else fixed
        help = "a block is not followed by `;`" if pieces[index - 1].text == "}" else ""
        return Repair("HW0001", piece.start, piece.end, "`;` without a statement", help, fixed)
    if after and not after.first and not after.block and pieces[index - 1].text not in ")]":
        return Repair("HW0001", piece.start, piece.end, "`;` in the middle of a statement", "", draft.blank(piece.start, piece.end))
    return None


def _hint(pieces: list[Piece], index: int, wanted: frozenset[str]) -> str:
    """What is accepted here, in the words of a user."""
    piece, before = pieces[index], pieces[statement_start(pieces, index) : index]
    if piece.text in RESERVED:
        return f"`{piece.text}` is a keyword and not allowed here"
    if before and (foreign := _foreign(pieces, index)):
        return foreign
    if any(earlier.text == "where" for earlier in before):
        if piece.text in ("<", "<=", ">", ">=", "==", "!=", "in") and before[-1].text != "where":
            return "comparisons do not chain: join two with `and`"
        if open_round(pieces, index) > 0 and _is_value(before[-1]):
            return "expected `,` or `)`"
        if _is_value(before[-1]):
            return "expected `and`, `or`, a comparison, or the end of the condition"
        return "expected an operand, a number or a predicate, as in `rank(X) <= 4 and const(W)`"
    if not before:
        return "expected a statement: a word, its arguments, then `;` or a `{ … }` block"
    if wanted == {"NAME"}:
        return "expected a name"
    return "expected `;` or a `{ … }` block" if "SEMI" in wanted else ""


def _foreign(pieces: list[Piece], index: int) -> str:
    """The spelling in this language of what other languages write differently."""
    piece, before = pieces[index].text, pieces[index - 1].text
    if before in ("amend", "delete"):
        return f"write `&{piece}`"
    if piece == "=" and any(earlier.text == "where" for earlier in pieces[statement_start(pieces, index) : index]):
        return "write `==` to compare"
    if piece == "*" and before == "*":
        return "write a power as `x ^ 2`"
    if piece == "and" and index > 1 and pieces[index - 2].text == "in":
        return f"`in` takes a range or a set: write `in 1..{before}`, `in {{ {before} }}`, or `== {before}`"
    return ""


def _is_value(piece: Piece) -> bool:
    return piece.text[-1] in ')]"' or (piece.text[-1].isalnum() and piece.text not in ("and", "or", "not", "in", "where"))


def _panic(draft: Draft, pieces: list[Piece], index: int) -> Draft:
    """The draft without the statement around pieces[index]; of a block only the head goes, so that its body is still checked."""
    begin = statement_start(pieces, index)
    stray = pieces[index].block and open_round(pieces, index) > 0  # a brace within brackets belongs to the faulty statement
    for end in range(index + stray, len(pieces)):
        text = pieces[end].text if ends_statement(pieces[end]) else ""
        if text == ";":
            return draft.blank(pieces[begin].start, pieces[end].end)
        if text == "}" and end > begin:
            return draft.blank(pieces[begin].start, pieces[end].start)
        if text == "{" and end > begin:
            if pieces[begin].text in ("rule", "match", "let", "emit"):
                return draft.blank(pieces[begin].start, pieces[closing_index(pieces, end)].end)
            return draft.blank(pieces[begin].start, pieces[end].start, "_")
        if text:
            break
    end = len(pieces) - 1 if begin < index and not pieces[index].block else index
    return draft.blank(pieces[min(begin, end)].start, pieces[end].end)
