"""Why the entries of a bundle are as they are: where their operators run, how a step of a decoder is written, what is copied from run to
run, and which weights sessions hold. All of it stands in the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ..bundle.entries import views
from ..bundle.manifest import EntryRecord, Manifest
from ..bundle.resident import resident_facts
from ..bundle.segment_operators import segment_operators
from ..errors import UsageError, did_you_mean

FEWEST = 2
"""Letters of a name that is looked for inside of longer ones."""


def entries_of_bundle(manifest: Manifest, folder: Path, word: str) -> dict[str, Any]:
    """Plain data: bundle, target, asked, entries (by name), states, links, phases, resident; found, where a word is given.

    word: the name of an operator of a segment, an operator, or a part of a name; "" for no single one.

    Raises UsageError for a word that is about no operator of any entry, BundleError for a segment that cannot be read."""
    plans = dict(zip((entry.name for entry in manifest.entries), views(manifest), strict=True))
    rows = [row for name, plan in plans.items() for row in _operators(name, plan, folder)]
    facts: dict[str, Any] = {
        "bundle": str(folder),
        "target": manifest.target.name,
        "asked": word,
        "entries": {entry.name: _entry(entry, plans[entry.name], rows) for entry in manifest.entries},
        "states": to_builtins(manifest.states),
        "links": to_builtins(manifest.links),
        "phases": to_builtins(manifest.phases),
        "resident": resident_facts(manifest),
    }
    return facts | {"found": _about(rows, word, str(folder))} if word else facts


def _operators(name: str, plan: Manifest, folder: Path) -> list[dict[str, Any]]:
    contents, _ = segment_operators(folder, plan)
    return [
        {"entry": name, "device": segment.device, "segment": segment.index, "operator": one.kind, "name": one.name}
        for segment in plan.segments
        for one in contents[segment.index]
    ]


def _entry(entry: EntryRecord, plan: Manifest, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    devices: dict[str, dict[str, Any]] = {}
    for segment in plan.segments:
        one = devices.setdefault(segment.device, {"segments": [], "operators": 0, "seconds": 0.0})
        one["segments"].append(segment.index)
        one["seconds"] += segment.predicted_seconds
    for row in rows:
        if row["entry"] == entry.name:
            devices[row["device"]]["operators"] += 1
    return {
        "model": entry.model,
        "tokens": entry.tokens,
        "shapes": dict(entry.shapes),
        "latency": plan.predicted_seconds,
        "devices": devices,
        "handoffs": len(plan.handoffs),
        "ways": to_builtins(entry.ways),
    }


def _about(rows: Sequence[dict[str, Any]], word: str, where: str) -> list[dict[str, Any]]:
    """Those of that name; else those of that operator; else those with the word in a name."""
    exact = [row for row in rows if row["name"] == word]
    alike = [row for row in rows if row["operator"] == word]
    inside = [row for row in rows if len(word) >= FEWEST and word in row["name"]]
    if found := exact or alike or inside:
        return found
    known = sorted({name for row in rows for name in (row["name"], row["operator"])})
    raise UsageError(f"no operator of the bundle is called '{word}'", where=where, help=did_you_mean(word, known))
