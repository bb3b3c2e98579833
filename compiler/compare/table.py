"""The rows of `autoglmc compare` as a CSV file: one line a row, measured columns beside predicted ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from .rows import Measured, Row

PREDICTED = ("latency", "half_width", "frames_per_second", "peak_memory", "energy", "package")
MEASURED = ("latency", "frames_per_second", "cold_start", "memory", "processor", "file")
HEAD = (
    "model", "target", "chip", *(f"predicted_{name}" for name in PREDICTED), "operators", "verified", "unproven_limits",
    *(f"measured_{name}" for name in MEASURED), "problem",
)  # fmt: skip


def csv_of(rows: Sequence[Row]) -> str:
    """Seconds, bytes, joules; a measurement of the same pair is another line. A cell that a spreadsheet would take for a formula begins
    with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for row in rows:
        for one in row.measured or (None,):
            writer.writerow([_safe(cell) for cell in _cells(row, one)])
    return text.getvalue()


def _cells(row: Row, one: Measured | None) -> list[Any]:
    operators = " ".join(f"{device}={number}" for device, number in row.operators)
    verified = "" if row.verified is None else "yes" if row.verified else "no"
    measured = [None if one is None else getattr(one, name) for name in MEASURED]
    predicted = [getattr(row, name) for name in PREDICTED]
    return [row.model, row.target, row.chip, *predicted, operators, verified, " ".join(row.limits), *measured, row.problem]


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
