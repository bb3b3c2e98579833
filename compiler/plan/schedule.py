"""The steps that run a compiled model, and which step reads and writes which place of which tensor.

A place is one copy of a tensor: the producer's, shared with every device that binds it without a copy, plus one for each device that
needs its own (`copy`, `convert`). Copies to a segment run just before its first reader, copies to the host right after the producer.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from ...passes.place.segment import Segment
from ...targets.dtypes import ADDRESSABLE
from ...targets.operator_view import TensorView
from ..bundle.plan_records import HandoffRecord, StepKind, StepRecord
from .segments import Compiled, View


@dataclass(slots=True, kw_only=True)
class Place:
    """One copy of a tensor, and the steps that use it."""

    tensor: str
    device: str
    """Who writes it."""
    writer: int | None
    """None for what the caller writes, and for a place whose bytes are written as those of others."""
    after: frozenset[int] = frozenset()
    """The steps that write its bytes."""
    begin: int = 0
    """The step in which the first of them is written; 0 for what the caller writes."""
    inside: int | None = None
    """The place that this one is a range of."""
    view: View | None = None
    """Why."""
    readers: list[str] = field(default_factory=list)
    """Devices that bind it besides `device`, in order of the handoffs."""
    handoffs: list[HandoffRecord] = field(default_factory=list)
    """The handoffs whose bytes lie here: those read from here without a copy, or the one that filled it."""
    reads: list[int] = field(default_factory=list)
    kept: bool = False
    """Whether it stays until the last step."""

    def lifetime(self, steps: int) -> tuple[int, int]:
        """First and last of the steps, both inclusive."""
        return self.begin, max(steps - 1, 0) if self.kept else max([self.begin, *self.after, *self.reads])

    def users(self) -> frozenset[int]:
        """The steps that read or write it."""
        return self.after.union(self.reads)


@dataclass(frozen=True, slots=True)
class Schedule:
    steps: tuple[StepRecord, ...]
    """What they wait for, besides what they need, depends on addresses: see arena.py."""
    places: tuple[Place, ...]
    at: Mapping[tuple[str, str], int]
    """(tensor, device) -> index of the place that device binds; a tensor outside the arena has none."""
    outside: tuple[str, ...]
    """Tensors that are passed by name."""


def in_arena(spec: TensorView) -> bool:
    """Whether the tensor can live at an address; strings, sequences and shapes known only at run time cannot."""
    return spec.bytes is not None and spec.dtype in ADDRESSABLE


def schedule(compiled: Compiled) -> Schedule:
    """Steps and places of a compiled model.

    Raises ValueError where the contract is broken: a tensor read before it is written, or one that changes devices without a handoff.
    """
    builder = _Builder(compiled)
    for tensor in compiled.graph_inputs:
        builder.write(tensor, compiled.host, None)
    for segment in compiled.segments:
        builder.run(segment)
    for tensor in compiled.graph_outputs:
        builder.keep(tensor)
    return builder.finish()


class _Builder:
    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.handoffs = {(h.tensor, h.consumer): h for h in compiled.handoffs}
        if len(self.handoffs) != len(compiled.handoffs):
            raise ValueError("two handoffs of one tensor to one device")
        self.results = frozenset(compiled.graph_outputs)
        self.places: list[Place] = []
        self.at: dict[tuple[str, str], int] = {}
        self.holder: dict[str, str] = {}
        self.outside: dict[str, int | None] = {}
        self.steps: list[StepRecord] = []

    def write(self, tensor: str, device: str, step: int | None) -> None:
        if tensor in self.holder:
            raise ValueError(f"tensor {tensor!r} is written twice")
        self.holder[tensor] = device
        if not in_arena(self.compiled.tensors[tensor]):
            self.outside[tensor] = step
            return
        self.at[tensor, device] = len(self.places)
        self._place(tensor, device, step)

    def _place(self, tensor: str, device: str, step: int | None, handoffs: list[HandoffRecord] | None = None) -> Place:
        after = frozenset() if step is None else frozenset({step})
        place = Place(tensor=tensor, device=device, writer=step, after=after, begin=step or 0, handoffs=handoffs or [])
        self.places.append(place)
        return place

    def define(self, view: View, device: str) -> None:
        """What an operator makes that is where its tensors lie, on the device that would have run it."""
        operands = [place for tensor in view.operands if (place := self.bring(tensor, device)) is not None]
        first = len(self.places)
        for tensor in view.results:
            self.write(tensor, device, None)
        results = list(range(first, len(self.places)))
        wholes, parts = (results, operands) if view.joins else (operands, results)
        (whole,) = wholes
        for number in results:
            self.places[number].after = frozenset().union(*(self.places[k].after for k in operands))
            self.places[number].begin = min(self.places[k].begin for k in operands)
        for number in parts:
            self.places[number].inside, self.places[number].view = whole, view

    def run(self, segment: Segment) -> None:
        views = [view for view in self.compiled.views if view.segment == segment.index]
        for view in views:
            if view.before:
                self.define(view, segment.device)
        sources = [self.bring(tensor, segment.device) for tensor in segment.inputs]
        step = len(self.steps)
        needs: set[int] = {self.outside[t] for t in segment.inputs if t in self.outside} - {None}  # type: ignore[assignment]
        for source in sources:
            if source is not None:
                self.places[source].reads.append(step)
                needs |= self.places[source].after
        self._step("run", needs, segment=segment.index)
        for tensor in segment.outputs:
            self.write(tensor, segment.device, step)
        for view in views:
            if not view.before:
                self.define(view, segment.device)
        for tensor in (*segment.outputs, *(name for view in views for name in view.results)):
            if tensor in self.results:
                self.bring(tensor, self.compiled.host)

    def bring(self, tensor: str, device: str, through: tuple[str, ...] = ()) -> int | None:
        """The place where `device` finds the tensor, after the copies of its chain of handoffs; None outside the arena."""
        if tensor not in self.holder:
            raise ValueError(f"tensor {tensor!r} is read on {device!r} before any segment or graph input writes it")
        if tensor in self.outside:
            return None
        if (tensor, device) in self.at:
            return self.at[tensor, device]
        handoff = self.handoffs.get((tensor, device))
        if handoff is None or handoff.producer in (device, *through):
            raise ValueError(f"tensor {tensor!r} goes from {self.holder[tensor]!r} to {device!r} without a handoff")
        source = self.bring(tensor, handoff.producer, (*through, device))
        assert source is not None
        if handoff.mode == "zero_copy":
            self.places[source].readers.append(device)
            self.places[source].handoffs.append(handoff)
            self.at[tensor, device] = source
            return source
        return self._copy(source, handoff)

    def _copy(self, source: int, handoff: HandoffRecord) -> int:
        step, destination = len(self.steps), len(self.places)
        needs = self.places[source].after
        self._step("copy" if handoff.mode == "copy" else "convert", needs, source=source, destination=destination)
        self.places[source].reads.append(step)
        self._place(handoff.tensor, handoff.consumer, step, [handoff])
        self.at[handoff.tensor, handoff.consumer] = destination
        return destination

    def _step(
        self,
        kind: StepKind,
        needs: Set[int],
        segment: int | None = None,
        source: int | None = None,
        destination: int | None = None,
    ) -> None:
        step = StepRecord(kind=kind, segment=segment, source=source, destination=destination, needs=tuple(sorted(needs)), waits=())
        self.steps.append(step)

    def keep(self, tensor: str) -> None:
        """A graph output stays readable on the host until the last step."""
        place = self.bring(tensor, self.compiled.host)
        if place is not None:
            self.places[place].kept = True

    def finish(self) -> Schedule:
        """A whole is used by who uses its parts."""
        for place in self.places:
            if place.inside is not None:
                whole = self.places[place.inside]
                whole.reads += place.reads
                whole.kept |= place.kept
        return Schedule(tuple(self.steps), tuple(self.places), self.at, tuple(self.outside))
