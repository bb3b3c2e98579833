"""The lines of a screen about weights that stay in the bundle's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..quantities import size, time


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
        again = "no time: the target states no memory that only holds weights" if facts["reading"] is None else time(facts["reading"])
        yield f"reading them from storage again, where the system took their pages back: {again}"
        yield f"packed by {facts['runtime']} for this processor: elsewhere kernels that want another form have copies of their own"
    for name, one in facts["peaks"].items():
        terms = f"{one['private']:,} weights + {one['arena']:,} arena"
        yield (
            f"{name or 'all'}: load peak {size(one['loading'])} = {terms} + {one['packing']:,} while packing; "
            f"run peak {size(one['running'])} = {terms} + {one['inside']:,} inside a segment"
        )
