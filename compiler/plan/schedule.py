"""The steps that run a compiled model, and which step reads and writes which place of which tensor.

A place is one copy of a tensor: the producer's, shared with every device that binds it without a copy, plus one for each device that
needs its own (`copy`, `convert`). Copies to a segment run just before its first reader, copies to the host right after the producer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...targets.dtypes import ADDRESSABLE
from ..bundle.tensor_spec import TensorSpec
from .segments import Compiled, Handoff, Segment

StepKind = Literal["run", "copy", "convert"]


@dataclass(frozen=True, slots=True)
class Place:
    """One copy of a tensor and its lifetime in steps, both ends inclusive. `writer` is None for what the caller writes."""

    tensor: str
    device: str
    """Who writes it."""
    readers: tuple[str, ...]
    """Devices that bind it besides `device`, in order of the handoffs."""
    handoffs: tuple[Handoff, ...]
    """The handoffs whose bytes lie here: those read from here without a copy, or the one that filled it."""
    writer: int | None
    reads: tuple[int, ...]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    kind: StepKind
    segment: int | None
    """Index of the segment of a `run`."""
    source: int | None
    """Index of the place a `copy` or `convert` reads."""
    destination: int | None
    needs: tuple[int, ...]
    """Earlier steps whose results this one reads."""


@dataclass(frozen=True, slots=True)
class Schedule:
    steps: tuple[Step, ...]
    places: tuple[Place, ...]
    at: Mapping[tuple[str, str], int]
    """(tensor, device) -> index of the place that device binds; a tensor outside the arena has none."""
    outside: tuple[str, ...]
    """Tensors without a known size: passed by name."""


def in_arena(spec: TensorSpec) -> bool:
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


@dataclass(slots=True)
class _Draft:
    tensor: str
    device: str
    readers: list[str]
    handoffs: list[Handoff]
    writer: int | None
    reads: list[int]
    kept: bool = False


class _Builder:
    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.handoffs = {(h.tensor, h.consumer): h for h in compiled.handoffs}
        if len(self.handoffs) != len(compiled.handoffs):
            raise ValueError("two handoffs of one tensor to one device")
        self.drafts: list[_Draft] = []
        self.at: dict[tuple[str, str], int] = {}
        self.holder: dict[str, str] = {}
        self.outside: dict[str, int | None] = {}
        self.steps: list[Step] = []

    def write(self, tensor: str, device: str, step: int | None) -> None:
        if tensor in self.holder:
            raise ValueError(f"tensor {tensor!r} is written twice")
        self.holder[tensor] = device
        if not in_arena(self.compiled.tensors[tensor]):
            self.outside[tensor] = step
            return
        self.at[tensor, device] = len(self.drafts)
        self.drafts.append(_Draft(tensor, device, [], [], step, []))

    def run(self, segment: Segment) -> None:
        sources = [self.bring(tensor, segment.device) for tensor in segment.inputs]
        step = len(self.steps)
        needs: set[int] = {self.outside[t] for t in segment.inputs if t in self.outside} - {None}  # type: ignore[assignment]
        for source in sources:
            if source is not None:
                self.drafts[source].reads.append(step)
                needs |= {self.drafts[source].writer} - {None}  # type: ignore[arg-type]
        self.steps.append(Step("run", segment.index, None, None, tuple(sorted(needs))))
        for tensor in segment.outputs:
            self.write(tensor, segment.device, step)
        for tensor in segment.outputs:
            if tensor in self.compiled.graph_outputs:
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
            self.drafts[source].readers.append(device)
            self.drafts[source].handoffs.append(handoff)
            self.at[tensor, device] = source
            return source
        return self._copy(source, handoff)

    def _copy(self, source: int, handoff: Handoff) -> int:
        step, destination = len(self.steps), len(self.drafts)
        writer = self.drafts[source].writer
        kind: StepKind = "copy" if handoff.mode == "copy" else "convert"
        self.steps.append(Step(kind, None, source, destination, () if writer is None else (writer,)))
        self.drafts[source].reads.append(step)
        self.drafts.append(_Draft(handoff.tensor, handoff.consumer, [], [handoff], step, []))
        self.at[handoff.tensor, handoff.consumer] = destination
        return destination

    def keep(self, tensor: str) -> None:
        """A graph output stays readable on the host until the last step."""
        place = self.bring(tensor, self.compiled.host)
        if place is not None:
            self.drafts[place].kept = True

    def finish(self) -> Schedule:
        end = max(len(self.steps) - 1, 0)
        places = []
        for draft in self.drafts:
            first = draft.writer or 0
            last = end if draft.kept else max([first, *draft.reads])
            shared, handoffs = tuple(draft.readers), tuple(draft.handoffs)
            places.append(Place(draft.tensor, draft.device, shared, handoffs, draft.writer, tuple(draft.reads), first, last))
        return Schedule(tuple(self.steps), tuple(places), self.at, tuple(self.outside))
