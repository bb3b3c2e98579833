"""How a screen is laid out: labelled lines that wrap under themselves, and tables.

Names come from models and may hold anything: what a terminal would obey is escaped, and what would fill a screen is shortened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import clipped
from .columns import columns_of_environment
from .printable import printable
from .quote import NO_SOURCE, SourceLines

WIDTH = 110
"""Columns when the output is no terminal and COLUMNS is not set, so that logs wrap the same everywhere."""
LABEL = 10
"""Columns of the label that a line begins with."""
HANGING = 2
"""Columns by which the rest of a wrapped line is indented."""
LONGEST = 72
"""Characters of a name that are shown."""
WORDS = 16
"""Columns to which a table's columns of text may fold; where it still is too wide, it is not printed as a table."""

BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:us|ms|s|%|B|[KMG]iB|W|m?J)\b|%)")
"""The blank of `365 us`."""
JOINED = "\ue000"
"""Stands for that blank where lines are wrapped: a letter for private use, so no word boundary."""


def console() -> Console:
    """Of stdout: as wide as the terminal, or as COLUMNS says, or WIDTH."""
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=columns_of_environment() or WIDTH)


def say(screen: Console, label: str, lines: Iterable[str | Text], style: str = "", source: SourceLines = NO_SOURCE) -> None:
    """Lines under one label, each wrapped within its column: `latency   365 us predicted …`. Below a line that names a line of a .hw
    file stands that line; a line that several refer to, once."""
    head, quoted = label, set[str]()
    for line in lines:
        text = line if isinstance(line, Text) else Text(printable(clipped(line)))
        for part in _wrapped(screen, text, screen.width - LABEL):
            _print_line(screen, Text(f"{head:<{LABEL}}").append_text(part), style)
            head = ""
        for quote in source.quotes(text.plain, quoted):
            _print_line(screen, Text(" " * LABEL).append(printable(quote), style="dim"))


def print_block(screen: Console, head: Text, right: str, lines: Iterable[str | Text], source: SourceLines = NO_SOURCE) -> None:
    """A heading with numbers at the right edge, and indented lines below it, which quote the lines of .hw files they name."""
    pieces = _wrapped(screen, head, screen.width - cell_len(right) - HANGING)
    first = pieces[0].copy()
    first.pad_right(screen.width - cell_len(right) - first.cell_len)
    for piece in (first.append(right, "not bold"), *pieces[1:]):
        _print_line(screen, piece)
    quoted = set[str]()
    for line in lines:
        text = line if isinstance(line, Text) else Text(printable(clipped(line)))
        for part in _wrapped(screen, text, screen.width - HANGING):
            _print_line(screen, Text(" " * HANGING).append_text(part))
        for quote in source.quotes(text.plain, quoted):
            _print_line(screen, Text(" " * HANGING).append(printable(quote), style="dim"))


def _wrapped(screen: Console, line: Text, width: int) -> list[Text]:
    """The line in pieces of the width, all but the first indented; a number keeps its unit."""
    short = clipped(line.plain)
    text = line.copy() if short == line.plain else Text(short)
    text.plain = BEFORE_UNIT.sub(JOINED, text.plain)
    pieces = _folded(screen, text, width)
    for piece in pieces:
        piece.plain = piece.plain.replace(JOINED, " ")
    return pieces


def _folded(screen: Console, text: Text, width: int) -> list[Text]:
    first = text.wrap(screen, max(width, 1), overflow="fold")[0]
    left = text.plain[len(first) :].lstrip()
    rest = text[len(text.plain) - len(left) :] if left else Text()
    more = rest.wrap(screen, max(width - HANGING, 1), overflow="fold") if left else ()
    return [first, *(Text(" " * HANGING).append_text(part) for part in more)]


def _print_line(screen: Console, line: Text, style: str = "") -> None:
    line.rstrip()
    screen.print(line, style=style, no_wrap=True, overflow="ellipsis")


def print_table(
    screen: Console, words: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str | Text]], styles: Sequence[str] = ()
) -> None:
    """Text columns, which fold where the screen is narrow, then number columns, which never do. Where not even that fits, every row is
    a line: its first cell, then the others with their headings. styles: of the rows."""
    cells = [[cell if isinstance(cell, Text) else Text(printable(clipped(cell))) for cell in row] for row in rows]
    looks = [*styles, *[""] * (len(rows) - len(styles))]
    if _least_width([*words, *numbers], len(words), cells) > screen.width:
        _print_rows(screen, (*words, *numbers), cells, looks)
        return
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in words:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True)
    for row, style in zip(cells, looks, strict=True):
        made.add_row(*row, style=style)
    screen.print(made)


def _least_width(names: Sequence[str], words: int, rows: Sequence[Sequence[Text]]) -> int:
    """Columns that a table needs if its columns of text fold to WORDS."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    widest: list[int] = [max([cell_len(name), *map(_widest, column)]) for name, column in zip(names, columns, strict=True)]
    return sum(min(width, WORDS) if k < words else width for k, width in enumerate(widest)) + 2 * (len(names) - 1)


def _widest(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split("\n")))


def _print_rows(screen: Console, names: Sequence[str], rows: Sequence[Sequence[Text]], styles: Sequence[str]) -> None:
    """Every row as its first cell, and below it the others by name."""
    for row, style in zip(rows, styles, strict=True):
        named = ", ".join(f"{name} {cell.plain}" for name, cell in zip(names[1:], row[1:], strict=True) if cell.plain)
        for part in _wrapped(screen, Text(f"{names[0]} ").append_text(row[0]), screen.width):
            _print_line(screen, part, style)
        for part in _wrapped(screen, Text(named), screen.width - HANGING):
            _print_line(screen, Text(" " * HANGING).append_text(part), style)


def short(name: str) -> str:
    """The two ends of a name that is too long to be read."""
    half = LONGEST // 2 - 1
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"
