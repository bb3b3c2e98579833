"""Writes a bundle: segments with their weights beside them, and the manifest. Equal input gives equal bytes.

segments/NN-device.onnx   one model per segment
segments/weights.bin      all weights once
manifest.json             everything else
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import structs

from ..bundle.blobs.blob_source import source_digest
from ..bundle.files import files_of, sha256_of
from ..bundle.manifest import MANIFEST, SEGMENTS, FileRecord, Manifest
from ..bundle.manifest_json import claims_bundle, foreign_files
from ..bundle.plan_records import SegmentRecord
from ..bundle.publish import check_place
from ..bundle.weights import WEIGHTS, WeightsFile, externalised
from ..errors import BundleError
from ..plan.segments import Compiled
from .ahead_of_time import Blob, Refusal, compile_ahead
from .package import write_manifest


def _silent(message: str) -> None:
    pass


def check_output(out: Path) -> None:
    """Raises BundleError where no bundle could be written to `out`; call before compiling."""
    place, here = out.resolve(), Path.cwd()
    if here == place or place in here.parents:
        what = "the output is the current folder, or above it" if here != place else "the output is the current folder"
        raise BundleError(f"{what}: it would be replaced", where=str(out), help="name a folder of its own with -o")
    if os.path.isfile(place / MANIFEST) and (found := foreign_files(place)):
        message = f"refusing to overwrite this folder: '{found[0]}' does not belong to the bundle in it"
        raise BundleError(message, where=str(out), help="move it away, or choose another place with -o")
    check_place(out if os.path.islink(out) else place, claims_bundle)


def write_bundle(
    compiled: Compiled, planned: Manifest, folder: Path, tell: Callable[[str], None] = _silent, note: Callable[[str], None] = _silent
) -> Manifest | Refusal:
    """Writes the bundle into the empty `folder` and returns its manifest, or the segment that a runtime here does not compile.

    planned: the manifest but for its files. `tell` gets progress, `note` what the user should know."""
    names = {record.index: record.file for record in planned.segments}
    files = _write_segments(compiled, names, folder)
    blobs = compile_ahead(compiled, folder, names, tell, note)
    if isinstance(blobs, Refusal):
        return blobs
    segments = tuple(_with_blob(record, blobs.get(record.index)) for record in planned.segments)
    files |= {name: record for segment in segments for name, record in _compiled_files(folder, segment, files)}
    return write_manifest(folder, structs.replace(planned, files=files, segments=segments))


def _write_segments(compiled: Compiled, names: Mapping[int, str], folder: Path) -> dict[str, FileRecord]:
    files: dict[str, FileRecord] = {}
    (folder / SEGMENTS).mkdir()
    with (folder / SEGMENTS / WEIGHTS).open("wb") as stream:
        weights = WeightsFile(stream)
        for segment in compiled.segments:
            model = externalised(segment.without_weights(), weights, segment.constants)
            data = model.SerializeToString(deterministic=True)
            (folder / names[segment.index]).write_bytes(data)
            files[names[segment.index]] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data), compiled_from=None)
    files[f"{SEGMENTS}/{WEIGHTS}"] = FileRecord(sha256=weights.sha256, size=weights.size, compiled_from=None)
    return files


def _compiled_files(folder: Path, segment: SegmentRecord, files: Mapping[str, FileRecord]) -> Iterator[tuple[str, FileRecord]]:
    for name in files_of(folder, segment.blob):
        path = folder / name
        yield name, FileRecord(sha256=sha256_of(path), size=path.stat().st_size, compiled_from=source_digest(segment, files))


def _with_blob(record: SegmentRecord, blob: Blob | None) -> SegmentRecord:
    if blob is None:
        return record
    return structs.replace(record, blob=blob.file, runtime=structs.replace(record.runtime, versions=blob.versions))
