"""The screen of `autoglmc targets`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..quantities import count, reach
from .layout import console, print_table, say
from .printable import printable

Facts = Mapping[str, Any]


def print_targets(found: Sequence[Facts], width: int, verbose: bool = False) -> None:
    """A row per target, with how many of its numbers are guesses; below, their calibrations. width: of the screen; 0 for none, then every
    target is one line without a heading, for other programs. verbose: with its file."""
    words = ("target", "machine", "devices", "confidence", *(("file",) if verbose else ()))
    rows = []
    for one in found:
        file = (one["file"],) if verbose else ()
        cells = (one["name"], one["title"], ", ".join(one["devices"]), one["confidence"] or "-", *file)
        rows.append((*cells, f"{one['guesses']} of {one['numbers']}{'' if width else ' numbers guessed'}"))
    if width:
        print_table(console(), words, ("guesses",), rows)
        say(console(), "measured", [f"{one['name']}: {line}" for one in found for line in _calibrations(one)])
        return
    rows = [(*row, "; ".join(_calibrations(one))) for row, one in zip(rows, found, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{room}}" for cell, room in zip(row, widths, strict=True)).rstrip())


def _calibrations(one: Facts) -> Iterator[str]:
    """ "cpu with onnxruntime 1.32.0, 2026-11-26: 41 networks held out, 82 % within 15 %, median 5 %, 90 % within ±18 %"."""
    for facts in one["calibrations"]:
        when = f", {facts['date']}" if facts["date"] else ""
        what = f"with {printable(facts['version'])}{when}" if facts["version"] else f"({printable(facts['note'])})"
        networks = () if facts["networks"] is None else (f"{count(int(facts['networks']), 'network')} held out",)
        said = ", ".join((*networks, *_figures(facts)))
        yield f"{facts['device']} {what}: {said or 'no network was held out, so nobody knows how good predictions are'}"


def _figures(facts: Facts) -> Iterator[str]:
    yield from (f"{_percent(share)} within {_percent(error)}" for share, error in facts["within"])
    if facts["median"] is not None:
        yield f"median {_percent(facts['median'])}"
    if facts["interval"] is not None:
        yield f"90 % within {reach(facts['interval'])}"


def _percent(share: float) -> str:
    return f"{share * 100:.2g} %" if share < 1 else f"{share * 100:.0f} %"
