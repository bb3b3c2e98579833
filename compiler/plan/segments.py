"""What the placement hands over to planning and emission: segments in execution order, the tensors between them, the handoffs.

Everything here describes; nothing decides. Bytes are packed bytes unless a field says "allocated", times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...targets.model import Runtime
from ..bundle.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import onnx

Mode = Literal["zero_copy", "copy", "convert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A convex part of the graph that one device runs in one dispatch."""

    index: int
    """Position in `Compiled.segments`, from 0."""
    device: str
    model: onnx.ModelProto
    """Self-contained: inputs and outputs carry tensor names, initializers are inline raw data."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    compute_dtype: str
    """The dtype the device computes in; the segment's own dtypes stay the model's."""
    kernels: tuple[tuple[str, ...], ...]
    """Node names per kernel group (one launch each)."""
    predicted_seconds: float
    predicted_joules: float | None
    """None where the target states no power."""
    peak_internal_bytes: int
    """Largest sum of live tensors inside the segment, boundary tensors not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """One tensor from the device that holds it to one device that reads it (once per destination device).

    A graph input is handed over by the host; a graph output is handed to the host. No handoff is needed where both sides are one device.
    """

    tensor: str
    producer: str
    consumer: str
    mode: Mode
    via: str
    """Mechanism: "iosurface", "ahardwarebuffer", "host" …"""
    align: int
    """Alignment in bytes of the first byte."""
    row_align: int
    """Bytes to which each row (last axis) is padded; 1 for packed."""
    length_multiple: int
    """Allocated bytes are a multiple of this."""
    bytes: int
    seconds: float
    origin: str
    """The line that decided the mode, "a16.hw:44"."""
    fallback: str
    """What a runtime does where the mechanism is missing: "copy" or "refuse"."""
    device_dtype: str
    """The dtype on the side that is not the model's; equal to the model's dtype where nothing is converted."""
    query_at_runtime: tuple[str, ...] = ()
    """What only the device can tell, e.g. page_size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A placed and cut model, ready for planning and emission."""

    segments: tuple[Segment, ...]
    """In execution order."""
    tensors: Mapping[str, TensorSpec]
    """Every segment input and output and every graph input and output."""
    handoffs: tuple[Handoff, ...]
    graph_inputs: tuple[str, ...]
    graph_outputs: tuple[str, ...]
    host: str
    """The device that graph inputs come from and outputs go to."""
    runtimes: Mapping[str, Runtime]
    """Per device that has a segment, and the host."""
    page: int = 4096
    """Page size of the memory that holds the arena."""
