"""What a plan takes of a memory, as a measured model of it (`memory …` of a calibration) turns it into private bytes of a process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...passes.place.memory.working_set import held_by_steps
from ...passes.place.segment import Segment
from ...targets.calibration import MemoryModel
from ...targets.dtypes import DTYPE, packed_bytes
from ...targets.model import Target


@dataclass(frozen=True, slots=True)
class Moment:
    """An operator at work."""

    operator: str
    live: int
    """Bytes of tensors inside its segment at once."""
    handled: int
    """Bytes of its operands and results."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of segments on one device."""

    weights: tuple[tuple[tuple[str, ...], int], ...]
    """(operators that read them, bytes as they are stored); () for constants of bodies."""
    moments: tuple[Moment, ...]
    """Those that may be the most, whatever the factors: none has another of its operator that is above it in both."""


def needs_of(here: Iterable[Segment], read: Sequence[Segment], target: Target) -> Needs:
    """`here`, `read`: the segments of one device with their activations, and their weights, in the memory."""
    readers: dict[str, dict[str, None]] = {}
    sizes: dict[str, int] = {}
    bodies = 0
    for segment in read:
        for tensor in segment.constants:
            sizes[tensor.name] = packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
        for node in segment.part.nodes:
            bodies += node.body_bytes
            for name in node.reads:
                readers.setdefault(name, {})[node.kind] = None
    found: dict[tuple[str, ...], int] = {(): bodies} if bodies else {}
    for name, size in sizes.items():
        kinds = tuple(sorted(readers[name]))
        found[kinds] = found.get(kinds, 0) + size
    return Needs(tuple(sorted(found.items())), tuple(_moments(here, target)))


def _moments(segments: Iterable[Segment], target: Target) -> list[Moment]:
    by_operator: dict[str, set[tuple[int, int]]] = {}
    for segment in segments:
        border = {*segment.inputs, *segment.outputs}
        for step in held_by_steps(segment.graph, segment.part, segment.part.nodes, border, target.device(segment.device)):
            by_operator.setdefault(step.node.kind, set()).add((step.live, step.handled))
    return [Moment(kind, live, handled) for kind, found in sorted(by_operator.items()) for live, handled in _largest(found)]


def _largest(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those that no other is above in both numbers."""
    kept: list[tuple[int, int]] = []
    for live, handled in sorted(found, reverse=True):
        if not kept or handled > kept[-1][1]:
            kept.append((live, handled))
    return kept


def held_weights(needs: Needs, model: MemoryModel) -> float:
    """Bytes of weights as the runtime holds them."""
    own = dict(model.weights_of)
    return sum(size * max((own.get(kind, model.weights) for kind in kinds), default=model.weights) for kinds, size in needs.weights)


def held_inside(needs: Needs, model: MemoryModel) -> float:
    """The most bytes that a segment takes while one of its operators runs."""
    own = dict(model.buffers)
    return max((model.working * one.live + own.get(one.operator, 0.0) * one.handled for one in needs.moments), default=0.0)
