"""The lines of a screen about weights that stay in the bundle's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..quantities import size, time
from .layout import short
from .printable import printable

MOST = 12
"""Names of weights, unless everything is to be printed."""


def resident_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """facts: those of bundle/resident.py."""
    private, packing = sum(one["private"] for one in facts["segments"].values()), max(one["packing"] for one in facts["segments"].values())
    most = f"{size(facts['budget'])} allowed, {facts['least']:,} B the smallest that is kept"
    yield f"{size(private)} of weights in private memory, and {size(packing)} for a moment while they are loaded; {most}"
    mapped = sum(one["mapped"] for one in facts["segments"].values())
    if not facts["packed"]:
        yield "all of it fits: --resident changes nothing"
    else:
        yield f"{size(mapped)} read where the file is mapped; packed forms make it {size(facts['packed'])} larger"
        if facts["reading"] is None:
            yield "pages that the system took back are read again; the target has no memory that only holds weights to predict that by"
        else:
            yield f"pages that the system took back are read again: {time(facts['reading'])} a run, if it took all of them"
        yield f"packed for {facts['runtime']} and this processor; elsewhere sessions may hold all weights themselves"
    for name, one in facts["peaks"].items():
        terms = f"{one['private']:,} weights + {one['arena']:,} arena"
        which = name or ("all entries" if len(facts["peaks"]) > 1 else "private memory")
        yield (
            f"{which}: load peak {size(one['loading'])} = {terms} + {one['packing']:,} while packing; "
            f"run peak {size(one['running'])} = {terms} + {one['inside']:,} inside a segment"
        )


def weight_lines(facts: Mapping[str, Any], verbose: bool = False) -> Iterator[str]:
    """Of each segment, which weights are packed in private memory."""
    for file, held in facts["segments"].items():
        names = held["unmapped"]
        most = len(names) if verbose else MOST
        more = f" and {len(names) - most} more (-v)" if len(names) > most else ""
        which = f", packed: {printable(', '.join(map(short, names[:most])))}{more}" if names else ", none of them packed"
        yield f"{file}: {size(held['mapped'])} mapped, {size(held['private'])} private{which}"
