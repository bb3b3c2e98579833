"""The canonical layout of a .hw text: indents, blanks, columns. Line ends inside a statement and comments stay as written.

A block is on one line if it was written so and fits; else each of its statements begins a line. Aligned columns: the values of
a block's properties, their provenance, the `where` of a table of operators, comments right of code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from .diagnostics import Source
from .format_items import Bit, Item, bits_of, items_of

WIDTH = 140
STEP = 2
COMMENT_COLUMN = 46
WIDEST_HEAD = 10
"""Longer property names do not widen the column."""
LEAST_HEAD = {"memory": 9, "device": 9, "table": 9, "link": 9}
"""So that all blocks of a kind have the same column."""
NAMES = 20
"""Width of operators before a `where`; longer lists do not widen the column."""
TABLES = frozenset({"supports", "deny"})
CHAINS = frozenset({"kernel"})
_APART = frozenset({"rewrite", "deny", "hw", "include", "amend", "delete"})
"""Statements that read as sentences: their first word is not aligned."""


def format_text(text: str, name: str = "") -> str:
    """The text in canonical layout; `name` stands for the file in messages. Raises HwError with every syntax error.

    Formatting a formatted text changes nothing, and the parser reads the same tokens before and after.
    """
    source = Source(name, text)
    done = "".join(f"{line}\n" for line in _lines(items_of(source), 0, ""))
    if _meaning(source) != _meaning(Source(name, done)):
        raise AssertionError(f"formatting would have changed what {name or 'the text'} says")
    return done


def _meaning(source: Source) -> list[tuple[str, str]]:
    return [(bit.kind, bit.text) for bit in bits_of(source)]


def _lines(items: Sequence[Item], indent: int, block: str) -> list[str]:
    """The lines of a block's inside; `block` is the word that opens it."""
    lines: list[str] = []
    columns = _columns(items, indent, block)
    for index, item in enumerate(items):
        if item.blank and index:
            lines.append("")
        lines += _item(item, indent, columns)
    return lines


def _item(item: Item, indent: int, columns: Mapping[str, int]) -> list[str]:
    text = " " * indent + _flow(item.bits, indent, _pads(item, indent, columns))
    if item.body is None:
        return _behind(text, item.trailing)
    short = f"{text}{_inside(item)}"
    if not item.broken and len(short.rpartition("\n")[2]) <= WIDTH:
        return _behind(short, item.trailing)
    inside = _lines(item.body, indent + STEP, item.bits[0].text)
    return [*_behind(text, item.opening), *inside, *_behind(" " * indent + "}", item.trailing)]


def _inside(item: Item) -> str:
    """A block that was written on one line, from behind its `{`."""
    words = [bit.text for bit in item.opening]
    for inner in item.body or ():
        words.append(_flow(inner.bits, 0, {}) + ("" if inner.body is None else _inside(inner)))
        words += [bit.text for bit in inner.trailing]
    return f" {' '.join(words)} }}" if words else "}"


def _behind(text: str, comments: Sequence[Bit]) -> list[str]:
    """The text with the comments right of it, and those under them."""
    lines = text.split("\n")
    own = len(lines[-1])
    after_comment = lines[-1].lstrip().startswith(("//", "/*")) or lines[-1].endswith("*/")
    column = own + 1 if after_comment else COMMENT_COLUMN if own < COMMENT_COLUMN else own + 3
    for index, comment in enumerate(comments):
        if index and comment.breaks:
            lines.append(" " * column + comment.text)
        else:
            lines[-1] = f"{lines[-1]} " if index else lines[-1].ljust(column)
            lines[-1] += comment.text
    return lines


# --- one statement


def _flow(bits: Sequence[Bit], indent: int, pads: Mapping[int, int]) -> str:
    """A statement from its first word at column `indent`; pads: bit number to the least column of that bit."""
    parts: list[str] = []
    column = indent
    edges = _Edges(bits, indent)
    for index, bit in enumerate(bits):
        before = bits[index - 1] if index else None
        if before is not None and _breaks(before, bit):
            column = edges.hanging(bit)
            parts.append("\n" + " " * column)
        elif before is not None:
            blanks = max(_blanks(before, bit, index, edges.chain), pads.get(index, 0) - column)
            column += blanks
            parts.append(" " * blanks)
        edges.seen(bit, column)
        parts.append(bit.text)
        column = len(bit.text) - bit.text.rfind("\n") - 1 if "\n" in bit.text else column + len(bit.text)
    return "".join(parts)


def _breaks(before: Bit, bit: Bit) -> bool:
    """Whether a line ends here: where one did, but not before punctuation."""
    if before.kind == "LINE":
        return True
    return bit.breaks > 0 and bit.kind not in ("SEMI", "COMMA", "LBRACE", "RPAR", "RSQB", "QUESTION", "COLON")


class _Edges:
    """Where a continued line starts: right of an open bracket, in a condition under its first term, else four columns in."""

    def __init__(self, bits: Sequence[Bit], indent: int) -> None:
        self.column = indent + 2 * STEP
        self.open: list[int] = []
        self.alternatives: set[int] = set()
        """Depths of brackets at which an `or` was seen."""
        self.chain = False
        """Whether an arrow was seen."""
        self.formula = bits[0].kind in ("MATCH", "LET", "EMIT")
        self.first = True

    def hanging(self, bit: Bit) -> int:
        column = self.open[-1] if self.open else self.column
        return column + (3 if bit.kind == "AND" and len(self.open) in self.alternatives else 0)

    def seen(self, bit: Bit, column: int) -> None:
        if self.formula and not self.first:
            self.column, self.formula = column, False
        self.first = False
        match bit.kind:
            case "LPAR" | "LSQB":
                self.open.append(column + 1)
            case "LBRACE":
                self.open.append(column + 2)
            case "RPAR" | "RSQB" | "RBRACE":
                self.alternatives.discard(len(self.open))
                self.open = self.open[:-1]
            case "WHERE":
                self.column = column + 2
            case "ARROW":
                self.chain = True
            case "OR":
                self.alternatives.add(len(self.open))


_CALLED = frozenset({"NAME", "QUALIFIED", "NOTE"})
_TIGHT = frozenset({"SEMI", "COMMA", "RPAR", "RSQB", "DOTS"})
_SIGNS = frozenset({"ARROW", "BOTH", "PIPE", "LE", "GE", "LT", "GT", "EQ", "DOTS", "ASSIGN", "MINUS", "PERCENT", "COLON"})


def _blanks(before: Bit, bit: Bit, index: int, chain: bool) -> int:
    """Number of spaces before a bit that continues its line."""
    if before.comment or bit.comment:
        return 1
    if bit.kind == "DOTS":  # `seen ..29 MOP` is open below
        return int(before.kind in ("WORD", "NAME"))
    if bit.kind in _TIGHT or before.kind in ("LPAR", "LSQB"):
        return 0
    if bit.kind == "MINUS" and before.kind == "WORD" and not bit.binary and bit.column == before.column + len(before.text):
        return 0  # a word with a hyphen, `u55-256`
    if bit.kind == "COLON":
        return 0 if index == 1 else 1
    if bit.kind == "LPAR":
        return 0 if before.kind in _CALLED else 1
    if before.kind == "DOTS" or (before.kind == "MINUS" and not before.binary):
        return 1 if bit.kind in _SIGNS else 0
    if bit.kind == "QUESTION":  # an optional stage of a chain, as against something left open
        return 0 if chain else 1
    return 1


# --- columns of a block


def _columns(items: Iterable[Item], indent: int, block: str) -> dict[str, int]:
    """Columns that the statements of a block share: "head", "note", "where", as far as there are any."""
    columns: dict[str, int] = {}
    if block in CHAINS:
        return columns
    statements = [item for item in items if not item.bits[0].comment and item.body is None]
    if block in TABLES:
        return {"where": indent + NAMES + 1}
    heads = [_head_width(item) for item in statements if _is_property(item)]
    if fitting := [width for width in heads if width <= WIDEST_HEAD]:
        columns["head"] = indent + max(*fitting, LEAST_HEAD.get(block, 0)) + 1
    ends = [end for item in statements if (end := _note_column(item, indent, columns))]
    if ends:
        columns["note"] = max(ends)
    return columns


def _pads(item: Item, indent: int, columns: Mapping[str, int]) -> dict[int, int]:
    pads: dict[int, int] = {}
    bits = item.bits
    if bits[0].comment or item.body is not None:
        return pads
    if "where" in columns and 0 < _names_width(item) <= NAMES:
        pads[_index(bits, "WHERE")] = columns["where"]
    if "head" in columns and _is_property(item):
        pads[2 if bits[1].kind == "COLON" else 1] = columns["head"]
    if "note" in columns and _note_column(item, indent, columns):
        pads[_index(bits, "NOTE")] = columns["note"]
    return pads


def _is_property(item: Item) -> bool:
    """Whether it is a word and its value, which may be aligned."""
    bits = item.bits
    return bits[0].text not in _APART and len(bits) > (3 if bits[1].kind == "COLON" else 2) and bits[1].kind != "COMMA"


def _head_width(item: Item) -> int:
    return len(item.bits[0].text) + (item.bits[1].kind == "COLON")


def _names_width(item: Item) -> int:
    """Width of the operators before a `where` on one line; 0 for any other statement."""
    names = list(takewhile(lambda bit: bit.kind != "WHERE", item.bits))
    if len(names) == len(item.bits) or any(bit.breaks for bit in item.bits[1 : len(names) + 1]) or any(bit.comment for bit in names):
        return 0
    return len(_flow(names, 0, {}))


def _note_column(item: Item, indent: int, columns: Mapping[str, int]) -> int:
    """The column where the provenance of a property with one number could start; 0 for other statements."""
    index = _index(item.bits, "NOTE")
    before = item.bits[:index]
    if not index or any(bit.kind in ("COMMA", "WHERE") or bit.comment or bit.breaks for bit in item.bits[1:]):
        return 0
    if item.bits[0].text in _APART:
        return 0
    pads = {key: column for key, column in _pads(item, indent, {k: v for k, v in columns.items() if k != "note"}).items() if key < index}
    return indent + len(_flow(before, indent, pads)) + 1


def _index(bits: Sequence[Bit], kind: str) -> int:
    """Number of the first bit of a kind; 0 if there is none."""
    return next((index for index, bit in enumerate(bits) if bit.kind == kind), 0)
