"""Bytes of a memory as a calibration of the devices in it says: with the runtime's own, its form of the weights, and its buffers.

private bytes = base + weights · (bytes of weights) + working · arena + most of an operator (working · tensors inside + buffers)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...passes.place.segment import Segment
from ...targets.calibration import MemoryModel
from ...targets.model import Target
from .held import Held
from .memory_needs import held_inside, held_weights, needs_of
from .session_weights import session_weights


def measured_memory(held: Held, here: Sequence[Segment], read: Sequence[Segment], target: Target, *, planned: bool = False) -> Held:
    """`held` as measured; unchanged where no device in the memory has a measured model of it. `here`, `read`: the segments with their
    activations, and their weights, in the memory. What several devices hold (the arena) is taken at the largest factor of theirs.

    planned: what is inside a segment lies where a plan of several memories put it, and not all of it here."""
    models = {name: model for name in dict.fromkeys(s.device for s in here) if (model := _model(target, name)) is not None}
    if not models:
        return held
    needs = {name: needs_of(_of(name, here), _of(name, read), target) for name in models}
    working = working_factor(here, target)
    counted = {name: session_weights(_of(name, read), target) for name in models}
    extra = sum(held_weights(needs[name], model) - counted[name].own - counted[name].shared for name, model in models.items())
    shared = sum(one.shared for one in counted.values())  # what was measured is private
    inside = [held_inside(needs[name], model) for name, model in models.items()]
    inside += [float(segment.internal_peak) for segment in here if segment.device not in models]
    return replace(
        held,
        weights=max(0, int(held.weights + extra)),
        shared=max(0, held.shared - shared),
        working=int(held.working * working if planned else max(inside)),
        arena=int(held.arena * working),
        runtime=int(sum(model.base for model in models.values())),
    )


def _of(device: str, segments: Iterable[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.device == device]


def working_factor(here: Sequence[Segment], target: Target) -> float:
    """By how much what lies in a memory between and inside these segments is more than its tensors."""
    models = [_model(target, name) for name in dict.fromkeys(s.device for s in here)]
    return max((1.0 if model is None else model.working for model in models), default=1.0) or 1.0


def _model(target: Target, device: str) -> MemoryModel | None:
    calibration = target.device(device).calibration
    return calibration.memory if calibration is not None else None
