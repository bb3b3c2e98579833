"""Bundles of one model for several sizes, or of several models, joined to one: an entry each, weights once by content, one memory for all
arenas."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import structs

from ...targets.dtypes import ROUNDOFF
from ..bundle.blobs.blob_cache import SegmentRefused
from ..bundle.blobs.blob_source import joined_digest
from ..bundle.blobs.join_blob import join_blobs
from ..bundle.entries import plan_of
from ..bundle.files import files_of, sha256_of
from ..bundle.manifest import SEGMENTS, BoundRecord, EntryRecord, FileRecord, Manifest, SourceRecord
from ..bundle.plan_records import SegmentRecord
from ..bundle.state_record import StateRecord, WayRecord
from ..bundle.weights import WEIGHTS, WeightsFile, externalised, referring
from ..devices.adapter import Joining
from ..devices.find_adapter import adapter_for
from ..errors import BundleError
from .cache_bounds import cache_bounds
from .join_links import LinkPlan, link_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A bundle that becomes an entry."""

    name: str
    folder: Path
    manifest: Manifest
    shapes: Mapping[str, int]
    tokens: int | None = None
    token_axes: Mapping[str, int]
    model: str | None = None
    """Which of several models it is of."""
    ways: tuple[WayRecord, ...] = ()
    """How it could be written."""


def join_entries(
    parts: Sequence[Part],
    states: Sequence[tuple[str, str]],
    axes: Mapping[str, int] | None,
    folder: Path,
    links: Sequence[LinkPlan] = (),
    dtype: str = "",
) -> Manifest:
    """Writes the files of all parts into the empty `folder`; returns the manifest of the whole, which is not written. states: inputs that
    of the first part's model that stay from run to run, with their outputs; axes: by input that grows, along which it does; None: none
    grows. links: outputs of further models that are inputs of the first one. dtype: that states are kept in, "" for the model's."""
    files: dict[str, FileRecord] = {}
    (folder / SEGMENTS).mkdir()
    with (folder / SEGMENTS / WEIGHTS).open("wb") as stream:
        weights = WeightsFile(stream)
        renamed = [_write_segments(part, weights, folder, files) for part in parts]
    files[f"{SEGMENTS}/{WEIGHTS}"] = FileRecord(sha256=weights.sha256, size=weights.size, compiled_from=None)
    shared = _join_blobs(renamed, folder)
    renamed = [tuple(structs.replace(one, blob=shared.get(one.file, one.blob)) for one in segments) for segments in renamed]
    for part, segments in zip(parts, renamed, strict=True):
        for old, new in zip(part.manifest.segments, segments, strict=True):
            if new.file not in shared:
                _copy_blob(part, old, new, folder)
    files |= _compiled_files([segment for segments in renamed for segment in segments], folder, files)
    joined = [structs.replace(part.manifest, segments=segments) for part, segments in zip(parts, renamed, strict=True)]
    bounds = cache_bounds([pair for pair in states if axes is None or pair[0] in axes], dtype)
    joined = [_bounded(made, bounds) if part.model == parts[0].model else made for part, made in zip(parts, joined, strict=True)]
    entries = tuple(_entry(part, made, first=k == 0) for k, (part, made) in enumerate(zip(parts, joined, strict=True)))
    by_model: dict[str | None, list[Manifest]] = {}
    for part, made in zip(parts, joined, strict=True):
        by_model.setdefault(part.model, []).append(made)
    return structs.replace(
        joined[0],
        files=files,
        entries=entries,
        states=states_of(by_model[parts[0].model], states, axes, ROUNDOFF[dtype] if dtype else 0.0),
        models={name: _source(made[0]) for name, made in by_model.items() if name is not None and name != parts[0].model},
        links=link_records(links, by_model),
    )


def _bounded(manifest: Manifest, bounds: tuple[BoundRecord, ...]) -> Manifest:
    return structs.replace(manifest, errors=structs.replace(manifest.errors, bounds=(*manifest.errors.bounds, *bounds)))


def _source(manifest: Manifest) -> SourceRecord:
    model = manifest.model
    return SourceRecord(sha256=model.sha256, opset=model.opset, defaults=model.defaults, metadata=model.metadata)


def _entry(part: Part, made: Manifest, *, first: bool) -> EntryRecord:
    return EntryRecord(
        name=part.name,
        shapes=dict(part.shapes),
        tokens=part.tokens,
        token_axes=dict(part.token_axes),
        plan=None if first else plan_of(made),
        model=part.model,
        ways=part.ways,
    )


def states_of(
    manifests: Sequence[Manifest], states: Sequence[tuple[str, str]], axes: Mapping[str, int] | None, bound: float = 0.0
) -> tuple[StateRecord, ...]:
    """Of the entries together: in place where it is so in each of them. bound: the relative error of what is kept in them."""
    found = []
    for past, present in states:
        each = [{slot.tensor: slot for slot in manifest.arena.slots if slot.tensor in (past, present)} for manifest in manifests]
        slot = each[0][past]
        assert all(one[past].offset == slot.offset for one in each), "caches lie at the same places in every arena (plan/states.py)"
        whole = [k for k, one in enumerate(each) if one[present].shape == slot.shape]  # the others are new rows alone
        apart = next((manifests[k] for k in whole if each[k][present].offset != slot.offset), None)
        axis = None if axes is None else axes.get(past)
        length, reason = (0 if axis is None else slot.shape[axis]), "" if apart is None else _why_apart(apart, past, present, axis)
        copied = slot.bytes if reason else 0
        facts: dict[str, Any] = {"length": length, "bytes": slot.bytes, "copied": copied, "reason": reason, "dtype": slot.dtype}
        found.append(StateRecord(past=past, present=present, axis=axis or 0, bound=0.0 if axis is None else bound, **facts))
    return tuple(found)


def _why_apart(manifest: Manifest, past: str, present: str, axis: int | None) -> str:
    """Why input and output of a state are two places in the arena of an entry."""
    if axis is None:
        return "every run replaces all of it"
    readers = [one for one in manifest.segments if any(port.tensor == past for port in one.inputs)]
    writer = next((one for one in manifest.segments if any(port.tensor == present for port in one.outputs)), None)
    if writer is None or [one.index for one in readers] != [writer.index]:
        named = ", ".join(dict.fromkeys(one.device for one in (*readers, *([writer] if writer else []))))
        return f"several segments use it, on {named}: none of them both reads and extends it"
    if any(slot.packed_on_cpu or slot.device_dtype != slot.dtype for slot in manifest.arena.slots if slot.tensor in (past, present)):
        return f"{writer.device} pads or converts its rows"
    return f"{writer.runtime.adapter} on {writer.device} is not known to write the new rows alone, over what it reads"


def _write_segments(part: Part, weights: WeightsFile, folder: Path, files: dict[str, FileRecord]) -> tuple[SegmentRecord, ...]:
    made = []
    for segment in part.manifest.segments:
        name = _named(part, segment.file)
        model = externalised(referring(part.folder / segment.file), weights)
        data = model.SerializeToString(deterministic=True)
        (folder / name).write_bytes(data)
        files[name] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data), compiled_from=None)
        blob = None if segment.blob is None else _named(part, segment.blob)
        made.append(structs.replace(segment, file=name, blob=blob))
    return tuple(made)


def _join_blobs(renamed: Sequence[Sequence[SegmentRecord]], folder: Path) -> dict[str, str]:
    """Compiles segments of runtimes whose files may hold several again, into one file of each runtime: that file, by segment file. Raises
    BundleError where the runtime refuses them together, CompilerCrashed where its compiler crashes on them."""
    by_runtime: dict[tuple[str, tuple[str, ...]], list[SegmentRecord]] = {}
    for segment in (segment for segments in renamed for segment in segments if segment.blob is not None):
        by_runtime.setdefault((segment.runtime.adapter, tuple(segment.runtime.options)), []).append(segment)
    found: dict[str, str] = {}
    for (name, words), segments in by_runtime.items():
        adapter = adapter_for(name, words)
        if not isinstance(adapter, Joining) or len(segments) < 2:
            continue
        blob = f"{SEGMENTS}/{name}{f'-{len(found)}' if found else ''}{adapter.suffix}"
        try:
            join_blobs(adapter, words, {PurePosixPath(one.file).stem: folder / one.file for one in segments}, folder / blob)
        except SegmentRefused as problem:
            raise BundleError(f"{problem.message}; it takes each of them", help="please report it") from problem
        found |= {segment.file: blob for segment in segments}
    return found


def _copy_blob(part: Part, old: SegmentRecord, new: SegmentRecord, folder: Path) -> None:
    if old.blob is None or new.blob is None:
        return
    source, place = part.folder / old.blob, folder / new.blob
    if source.is_dir():
        shutil.copytree(source, place)
    else:
        shutil.copyfile(source, place)


def _compiled_files(segments: Sequence[SegmentRecord], folder: Path, files: Mapping[str, FileRecord]) -> dict[str, FileRecord]:
    found = {}
    for blob in dict.fromkeys(segment.blob for segment in segments if segment.blob is not None):
        digest = joined_digest([segment for segment in segments if segment.blob == blob], files)
        for name in files_of(folder, blob):
            path = folder / name
            found[name] = FileRecord(sha256=sha256_of(path), size=path.stat().st_size, compiled_from=digest)
    return found


def _named(part: Part, file: str) -> str:
    path = PurePosixPath(file)
    return str(path.with_name(f"{part.name}-{path.name}"))
