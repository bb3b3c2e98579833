"""The screen of `autoglmc targets`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...targets.stock import stock_path
from .layout import console, print_table


def print_targets(found: Sequence[Mapping[str, Any]], width: int, verbose: bool = False) -> None:
    """A row per stock target, with how many of its numbers are guesses. width: of the screen; 0 for none, then every row is one line
    without a heading, for other programs. verbose: with its file."""
    words = ("target", "machine", "devices", "confidence", *(("file",) if verbose else ()))
    rows = []
    for one in found:
        file = (str(stock_path(one["name"])),) if verbose else ()
        cells = (one["name"], one["title"], ", ".join(one["devices"]), one["confidence"] or "-", *file)
        rows.append((*cells, f"{one['guesses']} of {one['numbers']}{'' if width else ' numbers guessed'}"))
    if width:
        print_table(console(), words, ("guesses",), rows)
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{room}}" for cell, room in zip(row, widths, strict=True)).rstrip())
