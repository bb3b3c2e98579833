"""The manifest of a bundle: what it was compiled from, what it holds and what was decided. `manifest_json.py` reads and writes it,
`docs/manifest.schema.json` is generated from it (`tools/generate_schema.py`); how it runs is in plan_records.py.

A record that gains, loses or changes a field needs a new FORMAT; `tests/compiler/bundle/test_format.py` holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from ..quantities import count, size
from .confidence_record import ConfidenceRecord, UncostedRecord
from .link_record import LinkRecord
from .phase_record import PhasesRecord
from .plan_records import ArenaRecord, HandoffRecord, SegmentRecord, StepRecord, ValueRecord
from .precision_record import PrecisionRecord, ScoreRecord
from .pruning_record import PruningRecord
from .record import BundlePath, Count, EntryName, Positive, Record, Sha256
from .resident_record import ResidentRecord
from .state_record import StateRecord, WayRecord
from .verification_record import VerificationRecord

FORMAT = 12
"""Version of the bundle format; a reader refuses any other."""
MANIFEST = "manifest.json"
SEGMENTS = "segments"
"""The folder of everything else in a bundle."""
SIGNATURE = "manifest.sig"
"""Beside the manifest where the bundle is signed."""
TOOL = "autoglmc"
Outcome = Literal[
    "accepted", "refused by a runtime", "computed wrong", "wrong by a runtime's optimiser", "over an error budget", "over a limit",
    "not placeable", "rejected",
]  # fmt: skip
"""Of an attempt of the search; a rejected one ends it, so that no bundle has it."""


class ModelRecord(Record, frozen=True, kw_only=True):
    """The model this was compiled from."""

    sha256: Sha256
    """Of the model's file followed by its external data; for a model in memory, of the file that it would be."""
    opset: Positive
    """ai.onnx opset of the file given."""
    inputs: tuple[ValueRecord, ...]
    """In the order of the model's graph."""
    outputs: tuple[ValueRecord, ...]
    defaults: tuple[str, ...]
    """Inputs of the model's graph with a default value, which the bundle has as constants."""
    metadata: Mapping[str, str]
    """The model's own metadata (metadata_props: class labels and the like), at most 256 KiB of it."""


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


class PackedRecord(Record, frozen=True, kw_only=True):
    """A file that is kept deflated (RFC 1950, zlib)."""

    file: BundlePath
    """The one that is there."""
    sha256: Sha256
    size: Count


class FileRecord(Record, frozen=True, kw_only=True):
    """A file of the bundle."""

    sha256: Sha256
    size: Count
    """Unpacked, as the sha256."""
    compiled_from: Sha256 | None
    """Of a file compiled ahead of time: the digest of the segment, weights and runtime that it was compiled from (bundle.md);
    null for any other."""
    packed: PackedRecord | None = None
    """What is in the package in place of the file; null where that is there itself."""
    left_out: bool = False
    """Whether the package is without it: weights that only a CPU in place of a compiled segment would read."""

    @property
    def stored(self) -> int:
        """Bytes that it takes in the package."""
        return 0 if self.left_out else self.size if self.packed is None else self.packed.size


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
    unproven: str
    """Why the prediction does not prove that the limit is kept, where measurements say how far it may be off; "" where it does, or
    where none do."""
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


class AttemptRecord(Record, frozen=True, kw_only=True):
    """One attempt of the search for this bundle; the last one is the bundle."""

    number: Positive
    change: str
    """What it did differently from the attempt before; "" for the first."""
    verdict: Outcome
    reason: str
    """What spoke against it; "" for the last."""


class PlanRecord(Record, frozen=True, kw_only=True):
    """What a further entry has of its own; fields are those of the manifest, and `inputs` and `outputs` those of its model."""

    inputs: tuple[ValueRecord, ...]
    outputs: tuple[ValueRecord, ...]
    segments: tuple[SegmentRecord, ...]
    schedule: Annotated[tuple[StepRecord, ...], Meta(max_length=10_000)]
    arena: ArenaRecord
    """In the same memory as that of the other entries; states lie at the same offsets."""
    handoffs: tuple[HandoffRecord, ...]
    confidence: ConfidenceRecord | None
    uncosted: tuple[UncostedRecord, ...]
    limits: tuple[LimitRecord, ...]
    guesses: tuple[GuessRecord, ...]
    errors: ErrorsRecord
    verification: VerificationRecord
    decisions: tuple[DecisionRecord, ...]
    search: tuple[AttemptRecord, ...]


class SourceRecord(Record, frozen=True, kw_only=True):
    """A further model that a bundle of several models was compiled from; fields are those of ModelRecord."""

    sha256: Sha256
    opset: Positive
    defaults: tuple[str, ...]
    metadata: Mapping[str, str]


class EntryRecord(Record, frozen=True, kw_only=True):
    """A way to run the bundle: the model with its dims bound to other sizes, or one of its models."""

    name: EntryName
    shapes: Mapping[str, Positive]
    """Sizes by dim, those that were asked for."""
    tokens: Positive | None
    """Tokens that one run takes; null for a model without states that writes no rows of another one's tokens."""
    token_axes: Mapping[str, Count]
    """By input and output, the axis that tokens are along; empty where `tokens` is null."""
    plan: PlanRecord | None
    """null for the first entry, whose plan is the manifest's own."""
    model: EntryName | None = None
    """Which of the bundle's models it runs; null where there is one."""
    ways: tuple[WayRecord, ...] = ()
    """How it could be written, of a step that extends caches."""


class Manifest(Record, frozen=True, kw_only=True):
    """What a runtime needs to execute the bundle, and what was decided and why. Canonical: sorted keys, short values on one line, UTF-8."""

    model: ModelRecord
    target: TargetRecord
    tool: ToolRecord
    files: Mapping[BundlePath, FileRecord]
    """Every file of the bundle but manifest.json, by path from the bundle's folder."""
    segments: tuple[SegmentRecord, ...]
    schedule: Annotated[tuple[StepRecord, ...], Meta(max_length=10_000)]
    arena: ArenaRecord
    handoffs: tuple[HandoffRecord, ...]
    confidence: ConfidenceRecord | None
    """null where no device in use is calibrated: its times are rooflines."""
    uncosted: tuple[UncostedRecord, ...]
    """Operators that the predicted latency leaves out, in the order of the model."""
    limits: tuple[LimitRecord, ...]
    guesses: tuple[GuessRecord, ...]
    errors: ErrorsRecord
    precision: PrecisionRecord | None
    """null where the model was taken in the precision that it has."""
    scores: tuple[ScoreRecord, ...] = ()
    """Accuracy by functions of the user's."""
    verification: VerificationRecord
    decisions: tuple[DecisionRecord, ...]
    search: tuple[AttemptRecord, ...]
    """The attempts of the search for this bundle; the last one is the bundle."""
    pruning: PruningRecord | None = None
    """null where the model has all its channels."""
    entries: Annotated[tuple[EntryRecord, ...], Meta(max_length=100)] = ()
    """Where the bundle can be run in several ways: each of them, the first one with the plan of this manifest. Empty where there is one."""
    states: Annotated[tuple[StateRecord, ...], Meta(max_length=10_000)] = ()
    """Tensors that stay in the arena from run to run: caches of a decoder, which all entries of the first one's model share."""
    models: Annotated[Mapping[EntryName, SourceRecord], Meta(max_length=100)] = {}
    """Where the bundle has several models: each but that of the first entry, which is `model`."""
    links: Annotated[tuple[LinkRecord, ...], Meta(max_length=1000)] = ()
    """Outputs that are inputs of the first entry's model."""
    together: VerificationRecord | None = None
    """What came of comparing the models as links join them, one after the other; null where there are no links. `segments` are those of
    all entries, in their order."""
    resident: ResidentRecord | None = None
    """null where sessions hold as much of the weights as their runtimes like."""
    phases: PhasesRecord | None = None
    """null where all models are in memory at the same time."""

    @property
    def predicted_seconds(self) -> float:
        """Of one request, a step after the other."""
        return sum(segment.predicted_seconds for segment in self.segments) + sum(handoff.seconds for handoff in self.handoffs)

    def __repr__(self) -> str:
        """Short: all of it is thousands of lines, and is the bundle's manifest.json."""
        parts = (count(len(self.segments), "segment"), count(len(self.handoffs), "handoff"), f"arena of {size(self.arena.total)}")
        return f"<Manifest for {self.target.name!r}: {', '.join(parts)}>"
