"""The page of `autoglmc compare --html`: a section a model, a row a target, numbers as bars; measurements in tables of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ...quantities import amount, size, time
from .render import render

if TYPE_CHECKING:
    from ...compare.rows import Measured, Row

HEADS = ("Latency", "Runs a second", "Peak memory", "Energy a run", "Package")
NUMBERS: Mapping[str, Callable[[float], str]] = {
    "latency": time, "frames_per_second": "{:.1f}".format, "peak_memory": size, "energy": lambda joules: amount("energy", joules),
    "package": size,
}  # fmt: skip
"""By field of a row, how it is written; in the order of HEADS."""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    share: float | None
    """Percent of the largest in its column; None where there is no number."""


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one model, with a cell a number."""

    model: str
    rows: tuple[Row, ...]
    cells: tuple[tuple[Cell, ...], ...]
    measured: tuple[tuple[Row, Measured], ...]


def compared_page(rows: Sequence[Row]) -> str:
    """HTML of one file that needs no other and runs no script: equal rows, equal bytes."""
    groups = [_group(model, tuple(own)) for model, own in groupby(rows, key=lambda row: row.model)]
    targets = dict.fromkeys(row.target for row in rows)
    return render("compared.html", groups=groups, targets=list(targets), heads=HEADS)


def _group(model: str, rows: tuple[Row, ...]) -> Group:
    largest = {name: max((getattr(row, name) or 0.0 for row in rows), default=0.0) for name in NUMBERS}
    cells = tuple(tuple(_cell(row, name, largest[name]) for name in NUMBERS) for row in rows)
    return Group(model, rows, cells, tuple((row, one) for row in rows for one in row.measured))


def _cell(row: Row, name: str, largest: float) -> Cell:
    number = getattr(row, name)
    if number is None or (name == "energy" and not number):
        return Cell("–", None)
    off = f" ±{row.half_width * 100:.0f} %" if name == "latency" and row.half_width is not None else ""
    return Cell(NUMBERS[name](number) + off, number / largest * 100 if largest else None)
