"""What one request of a session gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

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
