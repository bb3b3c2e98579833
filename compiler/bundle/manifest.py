"""The manifest of a bundle: its types, and JSON to and from them. `manifest.schema.json` documents every field.

Canonical: sorted keys, two spaces, no timestamps, no absolute paths. Equal manifests are equal bytes.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import BundleError

FORMAT = 1
"""Version of the bundle format; a reader refuses any other."""
MANIFEST = "manifest.json"
TOOL = "autoglmc"
LARGEST_MANIFEST = 64 << 20
"""Bytes; a larger manifest is refused unread."""

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


def to_json(manifest: Manifest) -> str:
    return json.dumps(manifest, default=_fields, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def from_json(text: str, where: str) -> Manifest:
    """The manifest that `text` spells. Raises BundleError naming the first field that does not fit the schema."""
    import jsonschema

    try:
        data = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"the manifest is not JSON: {error}", where=where) from None
    _check_format(data, where)
    schema = json.loads((Path(__file__).parent / "manifest.schema.json").read_text(encoding="utf-8"))
    first = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(data)), None)
    if first is not None:
        place = "" if first.json_path == "$" else f"'s {first.json_path.removeprefix('$.')}"
        raise BundleError(f"the manifest{place}: {first.message[:300]}", where=where)
    try:
        built: Manifest = _build(Manifest, data)
    except OverflowError as error:
        raise BundleError(f"the manifest holds a number out of range: {error}", where=where) from None
    return built


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`, checked against the schema; the files it names are not looked at."""
    path = folder / MANIFEST
    if not path.is_file():
        what = "a bundle is a folder, this is a file" if folder.is_file() else f"no bundle here: {MANIFEST} is missing"
        raise BundleError(what, where=str(folder), help="give the folder that `autoglmc MODEL --target …` wrote")
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise BundleError(f"the manifest is larger than {LARGEST_MANIFEST >> 20} MiB", where=str(path))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"the manifest cannot be read: {error}", where=str(path)) from None
    return from_json(text, str(path))


def claims_bundle(folder: Path) -> bool:
    """Whether the folder holds a manifest of ours, of any format version and however damaged: such a folder may be replaced."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            return False
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    tool = data.get("tool") if isinstance(data, dict) else None
    return isinstance(tool, dict) and tool.get("name") == TOOL


def _check_format(data: Any, where: str) -> None:
    tool = data.get("tool") if isinstance(data, dict) else None
    if not isinstance(tool, dict) or tool.get("name") != TOOL:
        raise BundleError(f"the manifest's tool.name is not {TOOL!r}: this is no bundle of ours", where=where)
    if tool.get("format") != FORMAT:
        written = f"tool.format is {tool.get('format')!r} (written by {TOOL} {tool.get('version')!r})"
        raise BundleError(f"the manifest's {written}, this version reads format {FORMAT}", where=where, help="compile the model again")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _build(kind: Any, data: Any) -> Any:
    """`data` (already valid by the schema) as the type `kind`."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: _build(hints[field.name], data[field.name]) for field in dataclasses.fields(kind)})  # type: ignore[operator]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return tuple(_build(inner[0], item) for item in data)
    if origin in (types.UnionType, typing.Union):
        return None if data is None else _build(inner[0], data)
    if origin is not None and inner and origin is not Literal:
        return {key: _build(inner[1], value) for key, value in data.items()}
    if kind is int or kind is float:
        return kind(data)  # JSON's 1 and 1.0 are one number
    return data
