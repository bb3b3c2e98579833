"""The screen of `autoglmc targets`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...targets.stock import stock_path
from .layout import console, print_table


def print_targets(found: Sequence[Mapping[str, Any]], verbose: bool = False) -> None:
    """A line per stock target, with how many of its numbers are guesses. verbose: with its file."""
    words = ("target", "machine", "devices", "confidence", *(("file",) if verbose else ()))
    rows = []
    for one in found:
        file = (str(stock_path(one["name"])),) if verbose else ()
        cells = (one["name"], one["title"], ", ".join(one["devices"]), one["confidence"] or "-", *file)
        rows.append((*cells, f"{one['guesses']} of {one['numbers']}"))
    print_table(console(), words, ("guesses",), rows)
