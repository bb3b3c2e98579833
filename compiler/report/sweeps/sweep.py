"""The screen of `autoglmc what-if --sweep`: a line a point, a chart, and where plans change."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ...quantities import amount, count, size, time
from ..confidence import interval
from ..layout import console, print_table, say
from ..printable import printable
from .chart import chart

Facts = Mapping[str, Any]
NOTHING = "-"


def print_sweep(facts: Facts, quiet: bool = False, saved: str = "") -> None:
    """facts: as `Swept.as_json` gives them. quiet: only where plans change. saved: the file that has the rows."""
    screen = console()
    for (model, target), group in itertools.groupby(facts["rows"], key=lambda row: (row["model"], row["target"])):
        rows = list(group)
        head = Text(printable(Path(model).name), style="bold").append(f" for {target}", "not bold")
        say(screen, "model", [head])
        breaks = [one for one in facts["breaks"] if (one["model"], one["target"]) == (model, target)]
        errors = dict.fromkeys(row["error"] for row in rows if row["error"])
        if not quiet and not all(row["error"] for row in rows):
            _print_rows(screen, facts, rows, breaks)
        say(screen, "changes", list(_changes(facts, breaks)) or ([] if errors else ["none: one plan for all of it"]))
        say(screen, "error", list(errors), style="red")
        screen.print()
    if saved:
        say(screen, "saved", [f"{count(len(facts['rows']), 'point')}, {count(facts['new'], 'plan')} of this run: {saved}"])


def _print_rows(screen: Console, facts: Facts, rows: Sequence[Facts], breaks: Sequence[Facts]) -> None:
    axes = facts["axes"]
    names = [_short(axis["path"]) for axis in axes] or ["set"]
    fixed = ", ".join(f"{one['path']} {one['text']}" for one in facts["settings"])
    cells = [(*(_values(axes, number) if axes else [fixed or "as it is"]), *_cells(row)) for number, row in enumerate(rows)]
    styles = ["yellow" if row["kept"] is False else "red" if row["error"] else "" for row in rows]
    print_table(screen, (*names, "segments", "limits"), ("latency", "energy", "memory"), cells, styles)
    if len(axes) == 1:
        values = [row["settings"][axes[0]["path"]] for row in rows]
        marks = [one["above"]["value"] for one in breaks]
        for line in chart(values, [row["latency"] for row in rows], axes[0]["texts"], marks, axes[0]["geometric"], screen.width):
            screen.print(Text(line), no_wrap=True)


def _short(path: str) -> str:
    return path.partition(".")[2]


def _values(axes: Sequence[Facts], number: int) -> list[str]:
    """The texts of the axes at a row: the first runs fastest."""
    found, left = [], number
    for axis in axes:
        found.append(axis["texts"][left % len(axis["texts"])])
        left //= len(axis["texts"])
    return found


def _cells(row: Facts) -> tuple[str, ...]:
    if row["error"]:
        return ("error", "", NOTHING, NOTHING, NOTHING)
    broken = [name for name, left in row["margins"].items() if left < 0]
    limits = f"{', '.join(broken)} broken" if broken else _kept(row) if row["kept"] else "no plan"
    return (
        _segments(row["segments"]) or NOTHING,
        limits,
        NOTHING if row["latency"] is None else f"{time(row['latency'])}{interval(row)}",
        NOTHING if row["energy"] is None else amount("energy", row["energy"]),
        NOTHING if row["memory"] is None else size(row["memory"]),
    )


def _kept(row: Facts) -> str:
    return f"{row['unproven']} unproven" if row["unproven"] else "kept"


def _segments(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {device}" for device, number in counts.items() if number)


def _changes(facts: Facts, breaks: Sequence[Facts]) -> Iterator[str]:
    """ "npu.dispatch between 218 us and 219 us: 1 npu, 1 cpu -> 1 cpu"."""
    axes = facts["axes"]
    for one in breaks:
        others = [f"{_short(axis['path'])} {_text(axis, one['settings'][axis['path']])}" for axis in axes[1:]]
        where = f"{_short(one['path'])} between {one['below']['text']} and {one['above']['text']}"
        yield f"{', '.join([*others, where])}: {'; '.join(_what(one))}"


def _text(axis: Facts, value: float) -> str:
    return str(axis["texts"][axis["values"].index(value)])


def _what(one: Facts) -> Iterator[str]:
    below, above = one["below"], one["above"]
    if below["plan"] != above["plan"]:
        was, now = _segments(below["segments"]) or "no plan", _segments(above["segments"]) or "no plan"
        if was != now:
            yield f"{was} -> {now}"
        elif below["operators"] != above["operators"]:
            yield f"operators {_segments(below['operators'])} -> {_segments(above['operators'])}"
        else:
            yield f"another plan of {was}"
    for name in above["broken"]:
        if name not in below["broken"]:
            yield f"{name} is broken from there on"
    for name in below["broken"]:
        if name not in above["broken"]:
            yield f"{name} is kept from there on"
