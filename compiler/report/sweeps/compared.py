"""The screen of `autoglmc compare`: a table a model, a row a target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ...quantities import amount, size, time
from ..layout import console, print_table, say
from ..printable import printable

if TYPE_CHECKING:
    from ...compare.rows import Measured, Row

NUMBERS = ("latency", "runs/s", "peak", "energy", "package")


def print_compared(rows: Sequence[Row]) -> None:
    """What is measured has lines of its own, below the row that it belongs to: never in a column of predictions."""
    screen = console()
    for model, own in groupby(rows, key=lambda row: row.model):
        mine = list(own)
        screen.print(printable(model), style="bold")
        print_table(screen, ("target", "operators", "verified"), NUMBERS, [_cells(row) for row in mine if not row.problem])
        for row in mine:
            lines = [*_problems(row), *(_measured(one) for one in row.measured)]
            if lines:
                say(screen, row.target[:9], lines)
    if any(not row.problem for row in rows):
        screen.print("Latency, runs a second, peak memory, energy and package are predicted.", style="dim")


def _cells(row: Row) -> tuple[str, ...]:
    operators = ", ".join(f"{number} {device}" for device, number in row.operators)
    verified = "not asked" if row.verified is None else "yes" if row.verified else "no"
    return (row.target, operators, verified, *_numbers(row))


def _numbers(row: Row) -> Iterator[str]:
    latency, fps, peak = row.latency, row.frames_per_second, row.peak_memory
    off = "" if row.half_width is None else f" ±{row.half_width * 100:.0f} %"
    yield "-" if latency is None else f"{time(latency)}{off}"
    yield "-" if fps is None else f"{fps:.1f}"
    yield "-" if peak is None else size(peak)
    yield "-" if not row.energy else amount("energy", row.energy)
    yield "-" if row.package is None else size(row.package)


def _problems(row: Row) -> Iterator[str]:
    if row.problem:
        yield f"no bundle: {row.problem}"
    for name in row.limits:
        yield f"limit {name}: the prediction does not prove that it is kept"


def _measured(one: Measured) -> str:
    memory = "" if one.memory is None else f", {size(one.memory)} of memory"
    speed = f"{one.frames_per_second:.1f} runs a second"
    return f"measured: median {time(one.latency)}, {speed}, cold start {time(one.cold_start)}{memory}  ({one.processor}; {one.file})"
