"""Bytes of a memory as a calibration of the devices in it says: with the runtime's own, its repacked weights and its allocator.

private bytes = base + weights · (bytes of weights) + working · (arena + working sets)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...passes.place.segment import Segment
from ...targets.calibration import MemoryModel
from ...targets.model import Target
from .held import Held, weight_bytes


def measured_memory(held: Held, here: Sequence[Segment], read: Sequence[Segment], target: Target) -> Held:
    """`held` as measured; unchanged where no device in the memory has a measured model of it. `here`, `read`: the segments with their
    activations, and their weights, in the memory. What several devices hold (the arena) is taken at the largest factor of theirs."""
    models = {name: model for name in dict.fromkeys(s.device for s in here) if (model := _model(target, name)) is not None}
    if not models:
        return held
    working = working_factor(here, target)
    extra = sum((models[name].weights - 1) * weight_bytes([s for s in read if s.device == name]) for name in models)
    return replace(
        held,
        weights=max(0, int(held.weights + extra)),
        working=int(held.working * working),
        arena=int(held.arena * working),
        runtime=int(sum(model.base for model in models.values())),
    )


def working_factor(here: Sequence[Segment], target: Target) -> float:
    """By how much what lies in a memory between and inside these segments is more than its tensors."""
    models = [_model(target, name) for name in dict.fromkeys(s.device for s in here)]
    return max((1.0 if model is None else model.working for model in models), default=1.0) or 1.0


def _model(target: Target, device: str) -> MemoryModel | None:
    calibration = target.device(device).calibration
    return calibration.memory if calibration is not None else None
