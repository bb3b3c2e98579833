"""What --resident means to a compilation: less of a memory for weights, and a file that they can stay in."""

from __future__ import annotations

from dataclasses import replace

from ...targets.cost import weights_memory
from ...targets.model import Target
from ..bundle.resident import check_bytes
from ..errors import UsageError


def resident_budget(target: Target, asked: int | None) -> int | None:
    """Bytes of weights that sessions may hold: those asked for, else what the target says of the memory that its host reads them from.
    Raises UsageError where the target says it of another memory: only the host's sessions can be held to it."""
    kept = weights_memory(target, target.host.name)
    for memory in target.memories:
        if memory.resident is not None and memory.name != kept.name:
            message = f"memory `{memory.name}` states `resident`, and the weights of {target.host.name} lie in `{kept.name}`"
            raise UsageError(message, where=str(memory.origin), help=f"state it of `{kept.name}`, whose sessions can be held to it")
    return kept.resident if asked is None else asked


def with_resident(target: Target, budget: int | None) -> Target:
    """The target, whose host may hold so many bytes of weights in the memory that it reads them from; as it is for None."""
    check_bytes(budget)
    if budget is None:
        return target
    name = weights_memory(target, target.host.name).name
    return replace(target, memories=tuple(replace(m, resident=budget) if m.name == name else m for m in target.memories))


def check_resident_with(target: Target, asked: int | None, *, compress: bool = False, no_fallback: bool = False) -> None:
    """Raises UsageError for what goes with no budget for resident weights, be it asked for or the target's."""
    if resident_budget(target, asked) is None:
        return
    where = str(weights_memory(target, target.host.name).origin) if asked is None else "--resident"
    if compress:
        help = "weights that are unpacked whenever they are loaded cannot be read where the bundle's file is mapped"
        raise UsageError("--compress and a budget for resident weights exclude each other", where=where, help=help)
    if no_fallback:
        raise UsageError("--no-fallback and a budget for resident weights exclude each other", where=where, help="give one of them")
