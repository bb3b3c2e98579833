"""What one request of a session gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from ..bundle.manifest import Manifest
from ..devices.adapter import Port
from ..devices.views import view_at

Spans = tuple[tuple[float, float], ...]


class Outputs(dict[str, Any]):
    """Graph outputs by name (copies, yours to keep), with how they came about."""

    __slots__ = ("_about", "_marks")

    def __init__(self, values: Mapping[str, Any], about: About, marks: Sequence[float] | Spans) -> None:
        """marks: the begin of the first step, then the end of each, if they ran one after the other; else their spans."""
        super().__init__(values)
        self._about, self._marks = about, marks

    @property
    def emulated(self) -> tuple[str, ...]:
        """Segments that ran on the CPU in place of a device that is not here: "0 (npu)"."""
        return self._about.emulated

    @property
    def copied(self) -> tuple[str, ...]:
        """Segments whose runtime could not be given addresses."""
        return self._about.copied

    @property
    def narrow(self) -> tuple[str, ...]:
        """Segments that a device computed in a narrower dtype than their own."""
        return self._about.narrow

    @property
    def spans(self) -> Spans:
        """Per step of the schedule, when it began and ended (seconds, time.perf_counter)."""
        return cast("Spans", self._marks) if isinstance(self._marks, tuple) else tuple(pairwise(cast("list[float]", self._marks)))

    @property
    def step_seconds(self) -> tuple[float, ...]:
        """Per step of the schedule."""
        return tuple(end - begin for begin, end in self.spans)


@dataclass(frozen=True, slots=True)
class About:
    """What all outputs of a session share."""

    emulated: tuple[str, ...]
    copied: tuple[str, ...]
    narrow: tuple[str, ...]


def plain(value: Any) -> Any:
    """A value that a runtime passed by name, as numpy or Python has it."""
    from ..devices.ort_values import to_plain

    return to_plain(value)


def written(
    manifest: Manifest, slots: Sequence[Port], ranges: Mapping[int, Sequence[int]], index: int, named: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """(tensor, device, value) of what a step of the schedule has just written. ranges: by step, slots that lie inside of its own."""
    step = manifest.schedule[index]
    if step.segment is not None:
        segment = manifest.segments[step.segment]
        for port in segment.outputs:
            yield port.tensor, segment.device, plain(named[port.tensor]) if port.slot is None else view_at(slots[port.slot])
    for k in ranges.get(index, ()):
        slot = manifest.arena.slots[k]
        yield slot.tensor, slot.device, view_at(slots[k])
