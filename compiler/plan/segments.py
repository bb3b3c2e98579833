"""What the placement hands over to planning and emission: segments in execution order, the tensors between them, the handoffs.

Everything here describes; nothing decides. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...passes.place.segment import Segment
from ...targets.model import Runtime
from ...targets.operator_view import TensorView
from ..bundle.plan_records import HandoffRecord, MemoriesRecord
from ..kept_places import NOTHING_KEPT, KeptPlaces


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Where tensors of segments lie, by segment index; nothing for a segment whose device has one memory for each role."""

    segments: Mapping[int, MemoriesRecord] = field(default_factory=dict)
    working: Mapping[str, int] | None = None
    """Per memory, the most that tensors of one segment take of it; None for what each segment holds, in its device's own memory."""
    resident: Mapping[str, int] = field(default_factory=dict)
    """Per memory, bytes of weights that lie there in all runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An operator that is left out of its segment, because where its tensors lie is all that it does: parts are ranges of a whole."""

    operator: str
    """Kind and name."""
    segment: int
    """Index of the one that it was part of."""
    whole: str
    parts: tuple[str, ...]
    starts: tuple[int, ...]
    """Of the parts, in bytes."""
    joins: bool
    """The parts make the whole (Concat), else the whole makes the parts (Split, Slice, Reshape …)."""
    before: bool
    """Its operands are there before the segment runs, else the segment makes them."""

    @property
    def results(self) -> tuple[str, ...]:
        return (self.whole,) if self.joins else self.parts

    @property
    def operands(self) -> tuple[str, ...]:
        return self.parts if self.joins else (self.whole,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A placed and cut model, ready for planning and emission."""

    segments: tuple[Segment, ...]
    """In execution order."""
    tensors: Mapping[str, TensorView]
    """Every segment input and output and every graph input and output; a shape that is not known before the run is None as a whole."""
    handoffs: tuple[HandoffRecord, ...]
    graph_inputs: tuple[str, ...]
    graph_outputs: tuple[str, ...]
    host: str
    """The device that graph inputs come from and outputs go to."""
    runtimes: Mapping[str, Runtime]
    """Per device that has a segment, and the host."""
    power: Mapping[str, float] = field(default_factory=dict)
    """Watts of a device that computes, where the target states them."""
    memories: MemoryPlan = MemoryPlan()
    views: tuple[View, ...] = ()
    """Operators that no segment has; no tensor is in two of them."""
    page: int = 4096
    """Page size of the memory that holds the arena."""
    kept: KeptPlaces = NOTHING_KEPT
    """Graph inputs and outputs at the start of the arena, where they stay from run to run."""
    layouts: Mapping[str, str] = field(default_factory=dict)
    """Order of the axes, "nchw" or "nhwc", in which a device holds tensors of rank 4; nchw where it is not stated."""

    def joules(self, segment: Segment) -> float | None:
        """Predicted for one run; None where the target states no power."""
        watts = self.power.get(segment.device)
        return None if watts is None else watts * segment.seconds
