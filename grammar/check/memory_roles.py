"""HW0203 by role: every device needs a memory for its weights and one for what it computes."""

from __future__ import annotations

from collections.abc import Sequence

from ...targets.model import Device, Memory
from ..lower.context import Context

WHAT = {"weights": "its weights", "activations": "the tensors it computes"}


def check_memory_roles(memories: Sequence[Memory], devices: Sequence[Device], context: Context) -> None:
    """Says which devices have nowhere to put their weights or their activations. `memories` are all there are."""
    for device in devices:
        shared = [memory for memory in memories if device.name in memory.shared]
        for role, what in WHAT.items():
            if shared and not any(role in memory.holds for memory in shared):
                message = f"device `{device.name}` has no memory for {what}"
                context.report.error("HW0203", context.spans[f"device.{device.name}"], message, _help(memories, shared, role, device))


def _help(memories: Sequence[Memory], shared: Sequence[Memory], role: str, device: Device) -> str:
    """Sharing a memory that holds it already is the smaller change."""
    ready = [memory.name for memory in memories if role in memory.holds]
    if ready:
        return f"memory `{ready[0]}` holds {role}: add `{device.name}` to its `shared`"
    names = " and ".join(f"`{memory.name}` ({', '.join(memory.holds)})" for memory in shared)
    return f"it addresses {names}: add `{role}` to a `holds`, or describe the memory that holds {role}"
