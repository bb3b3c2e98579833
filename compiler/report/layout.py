"""How a screen is laid out: labelled lines that wrap under themselves, and tables.

Names come from models and may hold anything: what a terminal would obey is escaped, and what would fill a screen is shortened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .printable import printable

WIDTH = 110
"""Columns when the output is no terminal and COLUMNS is not set, so that logs wrap the same everywhere."""
NARROWEST = 40
LABEL = 10
"""Columns of the label that a line begins with."""
LONGEST = 72
"""Characters of a name that are shown."""


def console() -> Console:
    plain = Console(highlight=False)
    return plain if plain.is_terminal else Console(highlight=False, width=_asked_for() or WIDTH)


def _asked_for() -> int:
    """COLUMNS, where it says a width that a screen can have; else 0."""
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isascii() and said.isdigit() and NARROWEST <= int(said[:6]) else 0


def say(screen: Console, label: str, lines: Iterable[str | Text], style: str = "") -> None:
    """Lines under one label, each wrapped within its column: `latency   365 us predicted …`."""
    grid = Table.grid()
    grid.add_column(width=LABEL, no_wrap=True)
    grid.add_column(overflow="fold")
    for number, line in enumerate(lines):
        grid.add_row(label if number == 0 else "", line if isinstance(line, Text) else Text(printable(line)), style=style)
    screen.print(grid)


def table(words: Sequence[str], numbers: Sequence[str]) -> Table:
    """Text columns, which fold where the screen is narrow, then number columns."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in words:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right")
    return made


def row(made: Table, cells: Sequence[str], style: str = "") -> None:
    made.add_row(*(Text(printable(cell)) for cell in cells), style=style)


def short(name: str) -> str:
    """The two ends of a name that is too long to be read."""
    half = LONGEST // 2 - 1
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"
