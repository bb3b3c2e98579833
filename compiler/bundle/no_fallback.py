"""Weights that only a fallback reads, left out of a package.

A segment that was compiled ahead of time has its weights in the compiled file. Those in `weights.bin` are for a machine that compiles the
segment again, and for a CPU that takes its place: without them the segment runs only as it was compiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from ..quantities import size as size_text
from .blobs.blob_source import source_digest
from .files import files_of
from .manifest import SEGMENTS, FileRecord, Manifest
from .plan_records import SegmentRecord
from .segment_operators import read_model
from .weights import WEIGHTS, WeightsFile, tensors_in

if TYPE_CHECKING:
    import onnx

LEFT_OUT = "left-out.bin"
"""Where the segments without a fallback say that their weights are; the manifest has its digest, and no package the file."""


def leave_out_fallbacks(folder: Path, manifest: Manifest) -> Manifest:
    """Removes the weights that only segments compiled ahead of time have from the bundle in `folder`. Returns its manifest with that, to be
    written; unchanged where no segment was compiled. Raises BundleError for a segment's file that cannot be read."""
    compiled = [segment for segment in manifest.segments if segment.blob is not None]
    if not compiled:
        return manifest
    files, old = dict(manifest.files), folder / SEGMENTS / WEIGHTS
    models = {segment.file: read_model(folder / segment.file) for segment in manifest.segments}
    kept = [model for file, model in models.items() if all(file != segment.file for segment in compiled)]
    files[f"{SEGMENTS}/{LEFT_OUT}"] = structs.replace(files[f"{SEGMENTS}/{WEIGHTS}"], left_out=True)
    files[f"{SEGMENTS}/{WEIGHTS}"] = _moved(kept, old)
    for segment in compiled:
        for tensor in external(models[segment.file]):
            _entry(tensor, "location").value = LEFT_OUT
    for file, model in models.items():
        data = model.SerializeToString(deterministic=True)
        (folder / file).write_bytes(data)
        files[file] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data), compiled_from=None)
    for segment in compiled:
        for name in files_of(folder, segment.blob):
            files[name] = structs.replace(files[name], compiled_from=source_digest(segment, files))
    return structs.replace(manifest, files=files)


def no_fallback_note(manifest: Manifest) -> str:
    """What the user should know of a bundle that was to be without fallbacks."""
    record = manifest.files.get(f"{SEGMENTS}/{LEFT_OUT}")
    if record is None:
        return "no weights are left out: no segment was compiled ahead of time"
    saved = size_text(record.size - manifest.files[f"{SEGMENTS}/{WEIGHTS}"].size)
    found = [segment for segment in manifest.segments if without_fallback(segment, manifest)]
    each = ", ".join(f"{one.index} ({one.device})" for one in found)
    return f"weights of segment {each} are left out ({saved}): it runs only as compiled, on {versions_of(found)}; no CPU can take its place"


def versions_of(segments: Sequence[SegmentRecord]) -> str:
    """`qnn 2.7.0, soc 57`: what compiled files depend on."""
    each = {f"{name} {version}": None for one in segments for name, version in sorted(one.runtime.versions.items())}
    return ", ".join(each) or "the runtime that it was compiled for"


def without_fallback(segment: SegmentRecord, manifest: Manifest) -> bool:
    """Whether the segment runs only as it was compiled: its weights are not in the bundle."""
    return segment.blob is not None and f"{SEGMENTS}/{LEFT_OUT}" in manifest.files


def external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The tensors whose data lies in another file."""
    return (tensor for tensor in tensors_in(model) if tensor.data_location == tensor.EXTERNAL)


def _moved(models: Sequence[onnx.ModelProto], path: Path) -> FileRecord:
    """Rewrites the file of weights with those of the models alone, the largest first, so that small ones leave no gaps between them."""
    tensors = sorted((tensor for model in models for tensor in external(model)), key=lambda tensor: -int(_entry(tensor, "length").value))
    whole = path.with_suffix(".old")
    path.rename(whole)
    with whole.open("rb") as source, path.open("wb") as stream:
        weights = WeightsFile(stream)
        for tensor in tensors:
            source.seek(int(_entry(tensor, "offset").value))
            _entry(tensor, "offset").value = str(weights.add(source.read(int(_entry(tensor, "length").value))))
    whole.unlink()
    return FileRecord(sha256=weights.sha256, size=weights.size, compiled_from=None)


def _entry(tensor: onnx.TensorProto, key: str) -> onnx.StringStringEntryProto:
    found: onnx.StringStringEntryProto = next(entry for entry in tensor.external_data if entry.key == key)
    return found
