"""The manifest as canonical JSON (`canonical_json.py`): no timestamps, no absolute paths. Equal manifests are equal bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BundleError
from ..quantities import amount
from .canonical_json import canonical
from .manifest import FORMAT, MANIFEST, SEGMENTS, SIGNATURE, TOOL, FileRecord, Manifest

LARGEST_MANIFEST = 64 << 20
"""Bytes; a larger manifest is refused unread."""
BYTE = re.compile(r" \(byte (\d+)\)")
CONSTANT = re.compile(r"-?(NaN|Infinity)")
SHORT = 200
"""Bytes of a version."""
NOTHING = msgspec.Raw(b"null")
UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


class OtherFormat(BundleError):
    """A bundle of another format version: not damaged, only not for this version of autoglmc."""


def to_json(manifest: Manifest) -> str:
    return canonical(msgspec.to_builtins(manifest))


def from_json(text: str, where: str) -> Manifest:
    """The manifest in `text`. Raises BundleError naming the first field that no manifest may have so, OtherFormat for another format.

    Typed decoding comes first: it ends at the first value that no manifest has, whatever else a hostile file holds."""
    try:
        _check_format(_header(text), where)
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        raise _misfit(message, _field(place, text), where) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _no_json(_malformed(str(error), text), where) from None
    _check_text(text, where)
    return manifest


class _Tool(msgspec.Struct, frozen=True):
    name: msgspec.Raw = NOTHING
    version: msgspec.Raw = NOTHING
    format: msgspec.Raw = NOTHING


class _Header(msgspec.Struct, frozen=True):
    """What every format version has; raw, so that nothing is made of what may be anything."""

    tool: _Tool = _Tool()


def _header(text: str) -> _Header:
    try:
        return msgspec.json.decode(text, type=_Header)
    except msgspec.ValidationError:  # an array, or a tool that is no object
        return _Header()


def _misfit(message: str, field: str, where: str) -> BundleError:
    place = f"the manifest{field and chr(39) + 's '}{field}"
    unknown = UNKNOWN.fullmatch(message)
    if unknown is None:
        return BundleError(f"{place}: {message}", where=where)
    what = f"{place} has the unknown field {unknown[1]!r}: another version of {TOOL} wrote it, or it was edited"
    return BundleError(what, where=where, help="compile the model again with this version")


def _no_json(what: str, where: str) -> BundleError:
    return BundleError(f"the manifest is not JSON: {what}", where=where)


def _malformed(message: str, text: str) -> str:
    """The decoder's message, with line and column for its count of bytes."""
    found = BYTE.search(message)
    if found is None:
        return "nested too deeply" if "recursion" in message else "the file ends too early" if "truncated" in message else message
    before = text.encode("utf-8", "replace")[: int(found[1])].decode("utf-8", "ignore")
    constant, what = CONSTANT.match(text, len(before)), message[: found.start()].removeprefix("JSON is malformed: ")
    if constant:
        what = f"{constant[0]} is not a JSON number"
    elif "surrogate" in what or "hex escape" in what:
        what = "half a surrogate pair"
    return f"{what} (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"


def _field(place: str, text: str) -> str:
    """Where a value is wrong, `segments[0].file`; "" for the whole manifest. msgspec writes `$.segments[0].file`, and `[...]` for a key."""
    name = place.strip("`").removeprefix("$").removeprefix(".")
    if place.startswith("`key`"):
        return place.rpartition("$.")[2].strip("`")
    if name.startswith("files[...]"):
        files = json.loads(text)["files"]
        key = next((key for key, value in files.items() if not _fits(value)), "...")
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
    return manifest_in(manifest_bytes(folder), folder)


def manifest_in(data: bytes, folder: Path) -> Manifest:
    """The manifest whose file holds `data`. Raises as `from_json` does."""
    path = folder / MANIFEST
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"the manifest cannot be read: {error}", where=str(path)) from None
    return from_json(text, str(path))


def manifest_bytes(folder: Path) -> bytes:
    """What manifest.json holds, of a bundle's folder. Raises BundleError where there is no such regular file, or it is too large."""
    path = folder / MANIFEST
    if not path.is_file():
        what = "a bundle is a folder, this is a file" if folder.is_file() else f"not a bundle: {MANIFEST} is missing"
        raise BundleError(what, where=str(folder), help="give the folder that `autoglmc MODEL --target …` wrote")
    if path.is_symlink():
        raise BundleError(f"{MANIFEST} is a symbolic link", where=str(folder))
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_MANIFEST + 1)
    except OSError as error:
        raise BundleError(f"the manifest cannot be read: {error.strerror or error}", where=str(path)) from None
    if len(data) > LARGEST_MANIFEST:
        raise BundleError(f"the manifest is larger than {amount('memory', LARGEST_MANIFEST)}", where=str(path))
    return data


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
    """What lies in a bundle's folder beside its manifest, its signature and its segments: somebody else's."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.name not in (MANIFEST, SEGMENTS, SIGNATURE)))


def _check_format(header: _Header, where: str) -> None:
    name, version, format = (_plain(raw) for raw in (header.tool.name, header.tool.version, header.tool.format))
    if name != TOOL:
        raise BundleError(f"the manifest's tool.name is not {TOOL!r}: not an autoglmc bundle", where=where)
    if format != FORMAT or isinstance(format, (bool, float)):
        written = f"format {format!r}, written by {TOOL} {version!r}"
        raise OtherFormat(f"the bundle has {written}, and this version reads format {FORMAT}: compile again", where=where)


def _plain(raw: msgspec.Raw) -> Any:
    """A short value; "..." for one that no format version has."""
    return json.loads(bytes(raw)) if len(bytes(raw)) <= SHORT else "..."


def _check_text(text: str, where: str) -> None:
    """What a typed decoder lets pass: a field given twice."""
    try:
        json.loads(text, object_pairs_hook=_no_duplicate)
    except (ValueError, RecursionError) as error:
        raise _no_json(str(error), where) from None


def _no_duplicate(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field {name!r} is given twice")
        found[name] = value
    return found
