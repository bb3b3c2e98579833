"""What was pruned, what it brought and what it cost, for the screen of `autoglmc compile`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..quantities import count, size, times
from .precision import accuracy_line

Facts = Mapping[str, Any]
UNSTRUCTURED = "unstructured: no single weights are set to zero, since no device is priced by how many there are"
MOST_LAYERS = 6
"""Layers that are listed; the others are counted."""


def pruning_lines(facts: Facts) -> Iterator[str]:
    """facts: the summary of a PruningRecord."""
    rows = facts["structured"]
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("channels", "heads")}
    listed = [f"{_sum(found, 'after')} of {_sum(found, 'before')} {kind} stay" for kind, found in kinds.items() if found]
    yield f"structured, removed from the graph: {', '.join(listed) or 'nothing'}"
    yield UNSTRUCTURED
    largest = sorted(rows, key=lambda row: row["after"] / row["before"])
    for row in largest[:MOST_LAYERS]:
        yield f"{_names(row['layers'])}: {row['before']} -> {row['after']} {row['kind']}"
    if len(rows) > MOST_LAYERS:
        yield f"and {count(len(rows) - MOST_LAYERS, 'more group')} of layers (--json lists all)"
    before, after = facts["weight_bytes"]
    smaller = f", {1 - after / before:.0%} smaller" if 0 < after < before else ""
    yield f"weights {size(before)} -> {size(after)}{smaller}{_seconds(facts['seconds'])}"
    for one in facts["accuracy"]:
        yield accuracy_line(one, len(facts["accuracy"]) > 1)


def _sum(rows: list[Facts], key: str) -> int:
    return sum(row[key] for row in rows)


def _names(layers: list[str]) -> str:
    return layers[0] if len(layers) == 1 else f"{layers[0]} and {count(len(layers) - 1, 'layer')} with it"


def _seconds(pair: list[float] | None) -> str:
    if pair is None:
        return ""
    before, after = times(*pair)
    return f"; predicted {before} -> {after} in the model's own precision"
