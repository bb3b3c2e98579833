"""The manifest as canonical JSON: sorted keys, two spaces, no timestamps, no absolute paths. Equal manifests are equal bytes."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal

from ..errors import BundleError
from .manifest import FORMAT, MANIFEST, TOOL, Manifest

LARGEST_MANIFEST = 64 << 20
"""Bytes; a larger manifest is refused unread."""


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
