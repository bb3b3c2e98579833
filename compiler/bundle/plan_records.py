"""Records of the manifest that say how a bundle runs: segments, steps, the arena, handoffs. The planner makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from ...targets.dtypes import packed_bytes
from ..devices.ort_settings import Optimisation
from .record import Count, Dims, Joules, OptimizerName, Positive, Record, RuntimeWord, Seconds, SegmentPath

Mode = Literal["zero_copy", "copy", "convert"]
"""How a tensor gets from one device to another."""
StepKind = Literal["run", "copy", "convert"]


class ValueRecord(Record, frozen=True, kw_only=True):
    """An input or output of the model's graph."""

    name: str
    dtype: str
    shape: Dims | None
    """null where it is known only at run time."""
    slot: Count | None
    """Index into arena.slots of the host's bytes; null for a value passed by name."""


class RuntimeRecord(Record, frozen=True, kw_only=True):
    """How the device runs the segment."""

    adapter: RuntimeWord
    """ort is onnxruntime on the CPU; none means plan only."""
    options: Annotated[tuple[RuntimeWord, ...], Meta(max_length=100)]
    """The words after the adapter in the target file."""
    opset: Positive
    """ai.onnx opset of the segment's file."""
    ir_version: Positive
    versions: Mapping[str, str]
    """What an ahead-of-time blob depends on: SoC, SDK, driver; empty without a blob."""
    optimisation: Optimisation
    """Highest level of graph optimisations of onnxruntime's CPU, where that runs the segment; below "all" where they are at fault."""
    optimizers_off: Annotated[tuple[OptimizerName, ...], Meta(max_length=100)]
    """Its graph optimisers that are disabled for this segment, by onnxruntime's names: they make it wrong, or fail on it."""


class PortRecord(Record, frozen=True, kw_only=True):
    """An input or output of a segment."""

    tensor: str
    slot: Count | None
    """Index into arena.slots; null for a value passed by name (arena.host_values)."""


class PlaceRecord(Record, frozen=True, kw_only=True):
    """Bytes of a memory that a tensor of a segment takes while some of its kernels run. A tensor may lie in two memories at once."""

    tensor: str
    same: tuple[str, ...]
    """Further tensors that are the same bytes."""
    memory: str
    kind: Literal["working", "streamed", "resident"]
    """What the segment computes with; a weight copied there for this run; a weight that lies there in all runs."""
    first: Count
    """Index into kernels of the first that needs it there."""
    last: Count
    """Of the last one, inclusive."""
    offset: Count
    """From the first byte of the memory that the plan has besides the arena and stored weights."""
    bytes: Positive
    """Padded to whole cache lines."""


class TransferRecord(Record, frozen=True, kw_only=True):
    """A tensor copied from one memory to another inside a segment."""

    tensor: str
    kind: Literal["spill", "fill", "move", "load"]
    """To the device's own memory; from there; between two others; a weight, from where it is stored."""
    source: str
    destination: str
    step: Count
    """Index into kernels."""
    when: Literal["before", "after", "during"]
    """The kernel; during it, the copy takes bandwidth and no time of its own."""
    bytes: Count
    seconds: Seconds
    """At the rate of the slower memory."""


class MemoriesRecord(Record, frozen=True, kw_only=True):
    """Where the tensors of a segment lie, and when. Inputs, outputs and stored weights have no place in `own` and `stored`: the arena and
    the weights are there."""

    own: str
    """The memory that the device has its activations in by default; its inputs and outputs are there."""
    stored: str
    """Where its weights are stored."""
    places: Annotated[tuple[PlaceRecord, ...], Meta(max_length=100_000)]
    transfers: Annotated[tuple[TransferRecord, ...], Meta(max_length=100_000)]
    """In the order in which they happen."""


class SegmentRecord(Record, frozen=True, kw_only=True):
    """A convex part of the graph that one device runs in one dispatch."""

    index: Count
    device: str
    runtime: RuntimeRecord
    file: SegmentPath
    """ONNX model of the segment, weights in segments/weights.bin."""
    blob: SegmentPath | None
    """Ahead-of-time form, a file or a folder, null without one."""
    compute_dtype: str
    """What the device computes in; the file's own dtypes stay the model's."""
    inputs: tuple[PortRecord, ...]
    outputs: tuple[PortRecord, ...]
    predicted_seconds: Seconds
    predicted_joules: Joules | None
    """null where the target states no power."""
    peak_internal_bytes: Count
    """Largest sum of live tensors inside the segment, those at its borders not counted."""
    kernels: tuple[tuple[str, ...], ...]
    """Node names per group that runs as one launch."""
    memories: MemoriesRecord | None
    """Where its tensors lie; null for a device that has one memory for each role."""


class StepRecord(Record, frozen=True, kw_only=True):
    """One step; steps run in order, or as needs and waits allow."""

    kind: StepKind
    segment: Count | None
    """Index into segments of a run, else null."""
    source: Count | None
    """Slot that a copy or convert reads, else null."""
    destination: Count | None
    """Slot that a copy or convert writes, else null."""
    needs: tuple[Count, ...]
    """Earlier steps whose results this one reads."""
    waits: tuple[Count, ...]
    """Further earlier steps that must be done because this one writes over bytes they used."""


class InPlaceRecord(Record, frozen=True, kw_only=True):
    """Why a segment may write a result over one of its inputs."""

    slot: Count
    """Index into arena.slots of that input: it is read for the last time by the segment that writes the result."""
    reason: str
    """Half a sentence about the operators of the segment, as its runtime executes them."""


class InsideRecord(Record, frozen=True, kw_only=True):
    """Whose bytes a slot's are a range of: an operator that only cuts or joins tensors is where they lie, and no segment has it."""

    slot: Count
    """Index into arena.slots of the whole, which has no `inside` itself."""
    start: Count
    """Bytes from its first one."""
    kind: Literal["view", "part"]
    """view: there once the whole is written. part: written itself; the whole, written by no step, is there once all of its parts are."""
    operator: str
    """Which: "Split Split_12"."""


class SlotRecord(Record, frozen=True, kw_only=True):
    """Bytes of one tensor in the arena."""

    tensor: str
    device: str
    """Who writes it; the host for a graph input."""
    aliases: tuple[str, ...]
    """Further devices that bind the same bytes (zero copy)."""
    dtype: str
    """What the bundle's own segments read and write: the model's dtype."""
    device_dtype: str
    """What a native runtime holds here; strides are in it."""
    shape: Dims
    strides: Dims
    """Bytes; padded rows included."""
    packed_on_cpu: bool
    """true where the CPU stand-in binds the contiguous form in dtype instead of strides."""
    offset: Count
    bytes: Count
    """Allocated, padding included."""
    align: Positive
    lifetime: tuple[Count, Count]
    """First and last step, both inclusive."""
    in_place: InPlaceRecord | None
    """Whose bytes the writer may take over while it reads them; null for a slot with bytes of its own."""
    inside: InsideRecord | None
    """Whose bytes these are a range of; null for a slot with bytes of its own."""

    @property
    def name(self) -> str:
        """A tensor has one slot for each device that writes it."""
        return f"{self.tensor} on {self.device}"

    @property
    def packed(self) -> int | None:
        """Bytes of the contiguous form in `dtype`; None for a dtype without a size."""
        return packed_bytes(self.dtype, self.shape)


class HostValueRecord(Record, frozen=True, kw_only=True):
    """A tensor that cannot live in the arena: passed by name, owned by the runtime."""

    tensor: str
    dtype: str
    reason: str


class ArenaRecord(Record, frozen=True, kw_only=True):
    """The memory that holds every tensor between segments."""

    total: Count
    """Bytes up to the end of the highest slot; a runtime maps whole pages."""
    align: Positive
    page: Positive
    lower_bound: Count
    """No plan is smaller: the largest sum of slots live at one step, holes that alignment forces included, or what planning has proven."""
    slots: Annotated[tuple[SlotRecord, ...], Meta(max_length=10_000)]
    host_values: tuple[HostValueRecord, ...]
    """Tensors that cannot live at an address."""

    @property
    def mapped(self) -> int:
        """Bytes that a process maps: whole pages."""
        return -(-self.total // self.page) * self.page


class HandoffRecord(Record, frozen=True, kw_only=True):
    """A tensor that goes from the device that holds it to one that reads it; the host holds graph inputs and reads graph outputs."""

    tensor: str
    producer: str
    consumer: str
    mode: Mode
    mechanism: str
    """iosurface, ahardwarebuffer, rpcmem, host …"""
    align: Positive
    """Of the first byte."""
    row_align: Positive
    """Bytes to which each row (last axis) is padded; 1 for packed."""
    length_multiple: Positive
    """Allocated bytes are a multiple of this."""
    device_dtype: str
    """The dtype on the side that is not the model's; the model's where nothing is converted."""
    bytes: Count
    seconds: Seconds
    """Predicted."""
    fallback: str
    """What a runtime does where the mechanism is missing: copy or refuse."""
    fallback_seconds: Seconds | None
    """Predicted where it copies; null where it refuses."""
    query_at_runtime: tuple[str, ...]
    """What only the device can tell, e.g. page_size."""
    origin: str
    """file:line of the target that decided the mode."""
