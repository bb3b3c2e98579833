"""The screen of `autoglmc cache`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..quantities import count, size
from .layout import console, print_table, say


def print_cached(found: Sequence[Mapping[str, Any]]) -> None:
    """A row per cache, then what each holds and where it lies."""
    screen = console()
    rows = [(one["name"], str(one["entries"]), size(one["bytes"]), size(one["limit"]) if one["limit"] else "-") for one in found]
    print_table(screen, ("cache",), ("entries", "size", "at most"), rows)
    for one in found:
        say(screen, one["name"], [f"{one['holds']}: {one['path']}"])


def print_cleared(removed: Sequence[Mapping[str, Any]]) -> None:
    """A line per cache."""
    for one in removed:
        print(f"{one['name']}: {count(one['entries'], 'entry')}, {size(one['bytes'])} removed from {one['path']}")
