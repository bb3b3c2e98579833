"""Which runtime runs each segment of a bundle here, from which ahead-of-time file; the CPU stands in for one that is not here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..bundle.blobs.blob_cache import blob_key, build
from ..bundle.manifest import Manifest
from ..bundle.no_fallback import versions_of, without_fallback
from ..bundle.plan_records import SegmentRecord
from ..devices.adapter import Absent, Adapter
from ..devices.find_adapter import PLAN_ONLY, UNCOMPILED, absence, adapter_for
from ..devices.ort import OrtAdapter
from ..devices.ort_settings import OrtSettings
from ..errors import BundleError, UserError


def choose_adapters(manifest: Manifest, emulate: bool, recompile: bool = False) -> tuple[list[Adapter], Mapping[int, str]]:
    """An adapter per segment, and why a segment cannot run on its runtime, by index. Raises UserError for those unless `emulate`,
    and BundleError for one whose weights were left out.

    recompile: what was not compiled ahead of time will be."""
    adapters: list[Adapter] = []
    absent: dict[int, Absent] = {}
    for segment in manifest.segments:
        adapter = adapter_for(segment.runtime.adapter, segment.runtime.options)
        lack = absence(segment.runtime.adapter, segment.runtime.options)
        if lack is None and adapter is not None and adapter.suffix and segment.blob is None and not recompile:
            lack = Absent(UNCOMPILED, "compile it here with --recompile")
        if lack is not None:
            absent[segment.index] = lack
        if (lack is not None or recompile) and without_fallback(segment, manifest):
            raise _only_as_compiled(segment, "" if lack is None else lack.reason)
        adapters.append(_on_cpu(segment) if lack is not None or adapter is None or adapter.name == "ort" else adapter)
    if absent and not emulate:
        reasons = dict.fromkeys(lack.reason for lack in absent.values())
        kinds = {reason: [manifest.segments[i] for i, lack in absent.items() if lack.reason == reason] for reason in reasons}
        what = "; ".join(_cannot(reason, segments) for reason, segments in kinds.items())
        advice = dict.fromkeys(lack.help for lack in absent.values() if lack.help)
        raise UserError(what, help=", or ".join((*advice, "run them on the CPU instead with --emulate")))
    lack = OrtAdapter().missing()
    if lack is not None:
        raise UserError(lack.reason, help=lack.help)
    if sum(adapter.name == "ort" for adapter in adapters) > 1:
        for adapter in adapters:
            if isinstance(adapter, OrtAdapter):
                adapter.spin = False
    return adapters, {index: lack.reason for index, lack in absent.items()}


def _only_as_compiled(segment: SegmentRecord, reason: str) -> BundleError:
    what = f"segment {segment.index} ({segment.device}) runs only as it was compiled, for {versions_of([segment])}"
    why = f"; {reason}" if reason else ""
    return BundleError(f"{what}: its weights were left out (--no-fallback){why}", help="compile the model again without --no-fallback")


def _on_cpu(segment: SegmentRecord) -> OrtAdapter:
    return OrtAdapter(OrtSettings(segment.runtime.optimisation, segment.runtime.optimizers_off))


def _cannot(reason: str, segments: Sequence[SegmentRecord]) -> str:
    each = ", ".join(f"{segment.index} ({segment.device}{_runtime(segment)})" for segment in segments)
    return f"{'segments' if len(segments) > 1 else 'segment'} {each} cannot run here: {reason}"


def _runtime(segment: SegmentRecord) -> str:
    return "" if segment.runtime.adapter == PLAN_ONLY else f": runtime {segment.runtime.adapter}"


def find_blob(folder: Path, segment: SegmentRecord, adapter: Adapter, scratch: Path | None, note: Callable[[str], object]) -> Path:
    """The segment's file for its runtime: that of the bundle, or where there is a folder to put it, `scratch`, one made here from the
    segment (or kept since it was). Raises BundleError naming the first version that does not fit, SegmentRefused as `build`.
    `note` is that of `build`."""
    if scratch is None:
        assert segment.blob is not None, segment.index
        _check_versions(segment, adapter)
        return folder / segment.blob
    import onnx

    path, place = folder / segment.file, scratch / f"{segment.index:02}{adapter.suffix}"
    if not place.exists():
        build(adapter, segment.runtime.options, path, blob_key(onnx.load_model(path), adapter, segment.runtime.options), place, note)
    return place


def _check_versions(segment: SegmentRecord, adapter: Adapter) -> None:
    here = adapter.versions()
    for name, version in segment.runtime.versions.items():
        if here.get(name) != version:
            what = f"segments[{segment.index}].runtime.versions.{name} is {version}, here it is {here.get(name, 'unknown')}"
            help = "compile the segments for this machine when they are loaded: --recompile"
            raise BundleError(what, where=str(segment.blob), help=help)
