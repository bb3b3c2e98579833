"""The ahead-of-time file of a segment when a bundle is loaded: the bundle's own if it fits this machine, else made here."""

from __future__ import annotations

from pathlib import Path

from ..bundle.blob_cache import blob_key, build
from ..bundle.plan_records import SegmentRecord
from ..devices.adapter import Adapter
from ..errors import BundleError


def find_blob(folder: Path, segment: SegmentRecord, adapter: Adapter, recompile: bool) -> Path:
    """Raises BundleError naming the first version that does not fit, unless `recompile`: then, and where the bundle has no such file
    (its maker lacked the runtime), the segment is compiled here and kept in the cache."""
    if segment.blob is not None and not recompile:
        _check_versions(segment, adapter)
        return folder / segment.blob
    import onnx

    path = folder / segment.file
    return build(adapter, segment.runtime.options, path, blob_key(onnx.load_model(path), adapter, segment.runtime.options))


def _check_versions(segment: SegmentRecord, adapter: Adapter) -> None:
    here = adapter.versions()
    for name, version in segment.runtime.versions.items():
        if here.get(name) != version:
            what = f"segments[{segment.index}].runtime.versions.{name} is {version}, here it is {here.get(name, 'unknown')}"
            help = "compile the segments for this machine when they are loaded: --recompile"
            raise BundleError(what, where=str(segment.blob), help=help)
