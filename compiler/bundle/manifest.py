"""The manifest of a bundle: its records, and the values each field may have. The planner fills them in, `manifest_json.py` reads and writes
them, `docs/manifest.schema.json` is generated from them (`tools/generate_schema.py`).

A class that gains, loses or changes a field needs a new FORMAT; `tests/compiler/bundle/test_format.py` holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from ...targets.dtypes import packed_bytes
from .record import BundlePath, Count, Joules, Positive, Record, Seconds, SegmentPath, Sha256

FORMAT = 2
"""Version of the bundle format; a reader refuses any other."""
MANIFEST = "manifest.json"
TOOL = "autoglmc"
Mode = Literal["zero_copy", "copy", "convert"]


class ValueRecord(Record, frozen=True, kw_only=True):
    """An input or output of the model's graph."""

    name: str
    dtype: str
    shape: tuple[Count, ...] | None
    """null where it is known only at run time."""
    slot: Count | None
    """Index into arena.slots of the host's bytes; null for a value passed by name."""


class ModelRecord(Record, frozen=True, kw_only=True):
    """The model this was compiled from."""

    sha256: Sha256
    """Of the model's file, external data not included."""
    opset: Positive
    """ai.onnx opset of the file given."""
    inputs: tuple[ValueRecord, ...]
    """In the order of the model's graph."""
    outputs: tuple[ValueRecord, ...]


class TargetRecord(Record, frozen=True, kw_only=True):
    """The target this was compiled for."""

    name: str
    sha256: Sha256
    """Of the resolved target: equal meaning, equal digest."""
    language: Positive
    """The `hw N;` version of the file."""


class ToolRecord(Record, frozen=True, kw_only=True):
    """What wrote the bundle."""

    name: str
    version: str
    """Version of autoglmc that wrote the bundle."""
    format: Positive


class FileRecord(Record, frozen=True, kw_only=True):
    """A file of the bundle."""

    sha256: Sha256
    size: Count


class RuntimeRecord(Record, frozen=True, kw_only=True):
    """How the device runs the segment."""

    adapter: str
    """ort is onnxruntime on the CPU; none means plan only."""
    options: tuple[str, ...]
    """The words after the adapter in the target file."""
    opset: Positive
    """ai.onnx opset of the segment's file."""
    ir_version: Positive
    versions: Mapping[str, str]
    """What an ahead-of-time blob depends on: SoC, SDK, driver; empty without a blob."""


class PortRecord(Record, frozen=True, kw_only=True):
    """An input or output of a segment."""

    tensor: str
    slot: Count | None
    """Index into arena.slots; null for a value passed by name (arena.host_values)."""


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


class StepRecord(Record, frozen=True, kw_only=True):
    """One step; steps run in order, or as needs and waits allow."""

    kind: Literal["run", "copy", "convert"]
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
    shape: tuple[Count, ...]
    strides: tuple[Count, ...]
    """Bytes; padded rows included."""
    packed_on_cpu: bool
    """true where the CPU stand-in binds the contiguous form in dtype instead of strides."""
    offset: Count
    bytes: Count
    """Allocated, padding included."""
    align: Positive
    lifetime: tuple[Count, Count]
    """First and last step, both inclusive."""

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
    """Largest sum of slots live at one step, holes that alignment forces included: no plan is smaller."""
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
    query_at_runtime: tuple[str, ...]
    """What only the device can tell, e.g. page_size."""
    origin: str
    """file:line of the target that decided the mode."""


class LimitRecord(Record, frozen=True, kw_only=True):
    """`accuracy cosine >= 0.999`: kind "accuracy", subject "cosine"."""

    kind: str
    subject: str
    comparison: Literal["<=", ">=", "<", ">"]
    limit: float
    """The number allowed, SI."""
    text: str
    """The number as the target writes it."""
    basis: Literal["predicted", "measured"]
    """predicted from the target, or measured by running."""
    value: float | None
    """null where nothing was measured yet."""
    margin: float | None
    """Room left, in the limit's unit; negative would be a broken limit."""
    origin: str


class GuessRecord(Record, frozen=True, kw_only=True):
    """A number of the target marked @guess that decided something."""

    path: str
    text: str
    origin: str
    decided: str
    """What would have been decided differently."""


class BoundRecord(Record, frozen=True, kw_only=True):
    """An error bound proved for one site; says nothing about the whole model."""

    rule: str
    site: str
    bound: float
    over: str
    """Inputs for which it is proved."""


class MeasuredRecord(Record, frozen=True, kw_only=True):
    """The whole model's error, measured on the inputs named."""

    output: str
    inputs: str
    max_abs: float
    max_rel: float
    cosine: float


class ErrorsRecord(Record, frozen=True, kw_only=True):
    """Bounds are proved per site; errors of the whole model are measured. Neither stands for the other."""

    bounds: tuple[BoundRecord, ...]
    measured: tuple[MeasuredRecord, ...]


class DecisionRecord(Record, frozen=True, kw_only=True):
    """A rule or pass at one site, taken or declined."""

    rule: str
    site: str
    taken: bool
    reason: str


VerdictKind = Literal[
    "accepted", "refused by a runtime", "computed wrong", "over an error budget", "over a limit", "not placeable", "rejected"
]


class AttemptRecord(Record, frozen=True, kw_only=True):
    """One attempt of the search for this bundle; the last one is the bundle."""

    number: Positive
    change: str
    """What it did differently from the attempt before; "" for the first."""
    verdict: VerdictKind
    reason: str
    """What spoke against it; "" for the last."""


class Manifest(Record, frozen=True, kw_only=True):
    """What a runtime needs to execute the bundle, and what was decided and why. Canonical: sorted keys, two spaces, UTF-8."""

    model: ModelRecord
    target: TargetRecord
    tool: ToolRecord
    files: Mapping[BundlePath, FileRecord]
    """Every file of the bundle but manifest.json, by path from the bundle's folder."""
    segments: tuple[SegmentRecord, ...]
    schedule: Annotated[tuple[StepRecord, ...], Meta(max_length=10_000)]
    arena: ArenaRecord
    handoffs: tuple[HandoffRecord, ...]
    limits: tuple[LimitRecord, ...]
    guesses: tuple[GuessRecord, ...]
    errors: ErrorsRecord
    decisions: tuple[DecisionRecord, ...]
    search: tuple[AttemptRecord, ...]
