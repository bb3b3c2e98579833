"""Predicted time of every segment as it is emitted: operators of its device's rewrites, of its runtime's spelling, and without views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...passes.place.device_kernels import PricedKernel, device_kernels, priced, weights_of_kernels
from ...passes.place.segment import Segment
from ...targets.model import Target
from .segments import Compiled


@dataclass(frozen=True, slots=True)
class SegmentTime:
    """Of one segment, its tensors in the device's own memory."""

    device: str
    kernels: tuple[PricedKernel, ...]
    """In topological order."""
    dispatch: float
    compiled: float | None = None
    """Seconds of all kernels by the runtime's own compiler; None where that makes no estimates, or is not here."""

    @property
    def rated(self) -> float:
        """Seconds of all kernels by the target's rates."""
        return sum(kernel.seconds for kernel in self.kernels)

    @property
    def seconds(self) -> float:
        return self.dispatch + (self.rated if self.compiled is None else self.compiled)


def segment_times(segments: Sequence[Segment], target: Target) -> tuple[SegmentTime, ...]:
    """Of the segments of one plan."""
    devices = [target.device(segment.device) for segment in segments]
    kernels = [device_kernels(s.graph, s.part.nodes, target, device) for s, device in zip(segments, devices, strict=True)]
    weights = weights_of_kernels([one for each in kernels for one in each])
    return tuple(
        SegmentTime(device.name, priced(each, target, device, weights), device.segment_dispatch)
        for device, each in zip(devices, kernels, strict=True)
    )


def with_times(compiled: Compiled, times: Sequence[SegmentTime]) -> Compiled:
    """The compiled model with the seconds of what its segments are now; what other memories were expected to save is taken off, as it was
    when operators were placed."""
    return replace(compiled, segments=tuple(map(_timed, compiled.segments, times)))


def _timed(segment: Segment, time: SegmentTime) -> Segment:
    saved = min(segment.part.saved, time.seconds)
    return replace(segment, part=replace(segment.part, seconds=time.seconds - saved, saved=saved))
