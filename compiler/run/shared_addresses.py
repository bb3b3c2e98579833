"""Whether the two sides of every zero-copy handoff are bound to one address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..bundle.manifest import Manifest
from ..devices.adapter import Port
from ..errors import BundleError


def shared_addresses(manifest: Manifest, slots: Sequence[Port], folder: Path) -> int:
    """How many zero-copy handoffs there are; raises BundleError where the two sides are bound to different addresses."""
    at: dict[tuple[str, str], int | None] = {}
    for record in manifest.segments:
        for port in (*record.inputs, *record.outputs):
            if port.slot is not None:
                at[port.tensor, record.device] = slots[port.slot].address
    found = [handoff for handoff in manifest.handoffs if handoff.mode == "zero_copy"]
    for handoff in found:
        here, there = at.get((handoff.tensor, handoff.producer)), at.get((handoff.tensor, handoff.consumer))
        if here is not None and there is not None and here != there:
            sides = f"{handoff.producer} and {handoff.consumer}"
            raise BundleError(f"the zero-copy handoff of {handoff.tensor} has two addresses, of {sides}", where=str(folder))
    return len(found)
