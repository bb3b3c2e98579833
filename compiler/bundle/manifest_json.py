"""The manifest as canonical JSON: sorted keys, two spaces, no timestamps, no absolute paths. Equal manifests are equal bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BundleError
from ..quantities import amount
from .manifest import FORMAT, MANIFEST, SEGMENTS, TOOL, FileRecord, Manifest

LARGEST_MANIFEST = 64 << 20
"""Bytes; a larger manifest is refused unread."""


class OtherFormat(BundleError):
    """A bundle of another format version: not damaged, only not for this version of autoglmc."""


def to_json(manifest: Manifest) -> str:
    return json.dumps(manifest, default=msgspec.structs.asdict, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str, where: str) -> Manifest:
    """The manifest in `text`. Raises BundleError naming the first field that no manifest may have so, OtherFormat for another format."""
    try:
        data = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicate)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"the manifest is not JSON: {error}", where=where) from None
    _check_format(data, where)
    try:
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        message, _, place = str(error).partition(" - at ")
        field = _field(place, data)
        raise BundleError(f"the manifest{field and chr(39) + 's '}{field}: {message}", where=where) from None


def _field(place: str, data: Any) -> str:
    """Where a value is wrong, `segments[0].file`; "" for the whole manifest. msgspec writes `$.segments[0].file`, and `[...]` for a key."""
    name = place.strip("`").removeprefix("$").removeprefix(".")
    if place.startswith("`key`"):
        return place.rpartition("$.")[2].strip("`")
    if name.startswith("files[...]"):
        key = next((key for key, value in data["files"].items() if not _fits(value)), "...")
        return name.replace("[...]", f"[{key!r}]", 1)
    return name


def _fits(value: Any) -> bool:
    try:
        msgspec.convert(value, FileRecord)
    except msgspec.ValidationError:
        return False
    return True


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`; the files it names are not looked at. Raises BundleError where it is none of ours."""
    path = folder / MANIFEST
    if not path.is_file():
        what = "a bundle is a folder, this is a file" if folder.is_file() else f"not a bundle: {MANIFEST} is missing"
        raise BundleError(what, where=str(folder), help="give the folder that `autoglmc MODEL --target …` wrote")
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise BundleError(f"the manifest is larger than {amount('memory', LARGEST_MANIFEST)}", where=str(path))
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"the manifest cannot be read: {error}", where=str(path)) from None
    return from_json(text, str(path))


def claims_bundle(folder: Path) -> bool:
    """Whether the folder holds a manifest of ours, of any format version and however damaged, and nothing that a bundle does not have:
    such a folder may be replaced."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            return False
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    tool = data.get("tool") if isinstance(data, dict) else None
    return isinstance(tool, dict) and tool.get("name") == TOOL and not foreign_files(folder)


def foreign_files(folder: Path) -> tuple[str, ...]:
    """What lies in a bundle's folder beside its manifest and its segments: somebody else's."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.name not in (MANIFEST, SEGMENTS)))


def _check_format(data: Any, where: str) -> None:
    tool = data.get("tool") if isinstance(data, dict) else None
    if not isinstance(tool, dict) or tool.get("name") != TOOL:
        raise BundleError(f"the manifest's tool.name is not {TOOL!r}: not an autoglmc bundle", where=where)
    if tool.get("format") != FORMAT:
        written = f"format {tool.get('format')!r}, written by {TOOL} {tool.get('version')!r}"
        raise OtherFormat(f"the bundle has {written}, and this version reads format {FORMAT}: compile again", where=where)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _no_duplicate(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field {name!r} is given twice")
        found[name] = value
    return found
