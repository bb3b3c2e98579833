"""Whether the files of a bundle are those of its manifest, before any parser sees one of them."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from ...bundle.blobs.blob_source import joined_digest
from ...bundle.entries import views
from ...bundle.files import files_of, inside, sha256_of
from ...bundle.manifest import Manifest
from ...bundle.plan_records import SegmentRecord
from ...errors import BundleError


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises BundleError naming the file that is missing, outside the folder, not what the manifest says, or was compiled from another
    segment than the one it stands beside."""
    for name, record in manifest.files.items():
        packed = record.packed
        if record.left_out:
            continue
        if packed is None:
            _check_file(folder, name, f"files[{name!r}]", record.size, record.sha256)
        else:  # what it unpacks to is looked at then: it may be much larger
            _check_file(folder, packed.file, f"files[{name!r}].packed", packed.size, packed.sha256)
    compiled: set[str] = set()
    segments = [segment for view in views(manifest) for segment in view.segments]
    for segment in segments:
        if segment.file not in manifest.files:
            raise BundleError(f"segments[{segment.index}] names {segment.file}, which is not among files", where=str(folder))
        compiled.update(_check_blob(folder, segment, [one for one in segments if one.blob == segment.blob], manifest))
    for name, record in manifest.files.items():
        if record.compiled_from is not None and name not in compiled:
            raise BundleError(f"files[{name!r}].compiled_from is given, and no segment's blob is there", where=str(folder))


def _check_file(folder: Path, name: str, field: str, size: int, sha256: str) -> None:
    path = inside(folder, name)
    try:
        status = path.lstat()
    except OSError as error:
        raise BundleError(f"{name} is missing: {error.strerror}", where=str(folder)) from None
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{name} is not a regular file", where=str(folder))
    if status.st_size != size:
        raise BundleError(f"{name} has {status.st_size} bytes, {field}.size says {size}", where=str(folder))
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror or error}", where=str(folder)) from None
    if found != sha256:
        raise BundleError(f"{name} has sha256 {found}, {field}.sha256 says {sha256}", where=str(folder))


def _check_blob(folder: Path, segment: SegmentRecord, sharing: Sequence[SegmentRecord], manifest: Manifest) -> tuple[str, ...]:
    """The files of a segment's blob, each of them listed and compiled from this segment, and those that share it."""
    names = tuple(files_of(folder, segment.blob))
    for name in names:
        if name not in manifest.files:
            raise BundleError(f"segments[{segment.index}] names {name}, which is not among files", where=str(folder))
        if manifest.files[name].compiled_from != joined_digest(sharing, manifest.files):
            what = f"{name} was not compiled from {segment.file} and its weights for this runtime with these options"
            where = f"segments[{segment.index}].blob, files[{name!r}].compiled_from"
            raise BundleError(f"{what}: {where}", where=str(folder))
    return names
