"""The manifest of a bundle: its types, and JSON to and from them. `manifest.schema.json` documents every field.

Canonical: sorted keys, two spaces, no timestamps, no absolute paths. Equal manifests are equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

FORMAT = 2
"""Version of the bundle format; a reader refuses any other."""
MANIFEST = "manifest.json"
TOOL = "autoglmc"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRecord:
    """A graph input or output; `slot` is None for a value outside the arena."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    slot: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    sha256: str
    opset: int
    inputs: tuple[ValueRecord, ...]
    outputs: tuple[ValueRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    name: str
    sha256: str
    language: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord:
    name: str
    version: str
    format: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRecord:
    adapter: str
    options: tuple[str, ...]
    opset: int
    ir_version: int
    versions: Mapping[str, str]
    """What an ahead-of-time blob depends on (SoC, SDK …); empty without a blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRecord:
    tensor: str
    slot: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    index: int
    device: str
    runtime: RuntimeRecord
    file: str
    blob: str | None
    compute_dtype: str
    inputs: tuple[PortRecord, ...]
    outputs: tuple[PortRecord, ...]
    predicted_seconds: float
    predicted_joules: float | None
    peak_internal_bytes: int
    kernels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    kind: Literal["run", "copy", "convert"]
    segment: int | None
    source: int | None
    destination: int | None
    needs: tuple[int, ...]
    waits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    tensor: str
    device: str
    aliases: tuple[str, ...]
    dtype: str
    device_dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    packed_on_cpu: bool
    offset: int
    bytes: int
    align: int
    lifetime: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostValueRecord:
    """A tensor that cannot live in the arena: passed by name, owned by the runtime."""

    tensor: str
    dtype: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaRecord:
    total: int
    align: int
    page: int
    lower_bound: int
    slots: tuple[SlotRecord, ...]
    host_values: tuple[HostValueRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffRecord:
    tensor: str
    producer: str
    consumer: str
    mode: Literal["zero_copy", "copy", "convert"]
    mechanism: str
    align: int
    row_align: int
    length_multiple: int
    device_dtype: str
    bytes: int
    seconds: float
    fallback: str
    query_at_runtime: tuple[str, ...]
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRecord:
    """`accuracy cosine >= 0.999`: kind "accuracy", subject "cosine"; value and margin are None where nothing was measured yet."""

    kind: str
    subject: str
    comparison: Literal["<=", ">=", "<", ">"]
    limit: float
    text: str
    basis: Literal["predicted", "measured"]
    value: float | None
    margin: float | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessRecord:
    path: str
    text: str
    origin: str
    decided: str
    """What would have been decided differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRecord:
    """An error bound proved for one site; says nothing about the whole model."""

    rule: str
    site: str
    bound: float
    over: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRecord:
    """The whole model's error, measured on the inputs named."""

    output: str
    inputs: str
    max_abs: float
    max_rel: float
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsRecord:
    bounds: tuple[BoundRecord, ...]
    measured: tuple[MeasuredRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    rule: str
    site: str
    taken: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt of the search for this bundle; the last one is the bundle."""

    number: int
    change: str
    """What it did differently from the attempt before; "" for the first."""
    verdict: str
    """accepted, refused by a runtime, computed wrong, over an error budget, over a limit."""
    reason: str
    """What spoke against it; "" for the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    model: ModelRecord
    target: TargetRecord
    tool: ToolRecord
    files: Mapping[str, FileRecord]
    """Every file of the bundle but the manifest, by path with `/` from the bundle's folder."""
    segments: tuple[SegmentRecord, ...]
    schedule: tuple[StepRecord, ...]
    arena: ArenaRecord
    handoffs: tuple[HandoffRecord, ...]
    limits: tuple[LimitRecord, ...]
    guesses: tuple[GuessRecord, ...]
    errors: ErrorsRecord
    decisions: tuple[DecisionRecord, ...]
    search: tuple[AttemptRecord, ...]
