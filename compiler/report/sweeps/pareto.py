"""The front of `--pareto` as a table."""

from __future__ import annotations

from typing import Any

from ...quantities import amount, time
from ..layout import console, print_table


def print_front(facts: dict[str, Any]) -> None:
    """`facts`: as `Front.as_json` has it."""
    names = facts["pareto"]
    written = ["bundle"] if any("bundle" in row for row in facts["points"]) else []
    cells = [
        (_segments(row["segments"]), *(row[name] for name in written), *(_shown(name, row[name]) for name in names))
        for row in facts["points"]
    ]
    print_table(console(), ("segments", *written), names, cells)


def _shown(name: str, value: float) -> str:
    return time(value) if name == "latency" else amount(name, value)


def _segments(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {device}" for device, number in sorted(counts.items()))
