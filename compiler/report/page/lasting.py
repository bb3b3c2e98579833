"""What stays from run to run, and what sessions hold of the weights, as sentences of the page: those of the screens."""

from __future__ import annotations

from msgspec import to_builtins

from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.resident import resident_facts
from ..entries import cache_lines
from ..resident import resident_lines, weight_lines
from ..ways import way_lines


def lasting(manifest: Manifest, entry: EntryRecord | None) -> dict[str, list[str]]:
    """By heading; entry: that the manifest is of, where its bundle has several."""
    resident, states = resident_facts(manifest), [to_builtins(state) for state in manifest.states]
    return {
        "How a step is written": list(way_lines(to_builtins(entry.ways))) if entry is not None and entry.ways else [],
        "What stays from run to run": list(cache_lines(states)) if states else [],
        "Weights that stay in the file": [] if resident is None else [*resident_lines(resident), *weight_lines(resident)],
    }
