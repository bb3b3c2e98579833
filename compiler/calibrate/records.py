"""What was measured of one bundle on one device, wherever it was measured: here, or in a profile from a phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...targets.operator_view import OperatorView


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredKernel:
    """Operators of a segment that its device runs as one kernel (often one operator)."""

    name: str
    """Of its first operator, as the segment has it."""
    views: tuple[OperatorView, ...]
    """As placement prices them: of a quantised unit in integers."""
    compute_dtype: str
    seconds: float | None
    """Measured, of one run; None where the runtime reports no operator that it could be joined with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSegment:
    """One segment, or one model, on the device to be calibrated."""

    network: str
    """Splits keep all that was measured of one network on one side: a model at two shapes is one network."""
    case: str
    """This measurement: "minilm 1x128", "Conv 3x3 64->64 56x56"."""
    kernels: tuple[MeasuredKernel, ...]
    weight_bytes: int
    latency: float | None
    """Seconds of one run without the profiler; None where it was not measured."""
    floor: float
    """How far repeated passes were apart, as a share: what no prediction can be better than."""
    unjoined: Mapping[str, float]
    """Seconds that the runtime spent on what is no operator of the segment, by its own name: reorders."""
    single: bool = False
    """Whether it is one kernel of the grid, and no network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All that was measured on one device."""

    device: str
    """Of the target."""
    runtime: str
    """With its version: "onnxruntime 1.32.0"."""
    environment: Mapping[str, str]
    """Processor, threads, date, temperature: what is known."""
    segments: tuple[MeasuredSegment, ...]
