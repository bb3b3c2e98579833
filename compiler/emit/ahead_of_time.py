"""Segments compiled by their runtimes' own compilers, into the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...passes.place.segment import Segment
from ..bundle.blobs.blob_cache import SegmentRefused, blob_key, build
from ..bundle.blobs.crash import CompilerCrashed
from ..bundle.manifest import Manifest
from ..devices.find_adapter import absence, adapter_for
from ..plan.compilers.times import on_segment
from ..plan.segments import Compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    file: str
    """In the bundle, with `/`; a folder for runtimes that want one (.mlpackage)."""
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A segment that its runtime's compiler refuses, with the compiler's output."""

    segment: Segment
    problem: SegmentRefused


def emitted_only(manifest: Manifest) -> tuple[str, ...]:
    """A note for each runtime whose segments were compiled here and cannot run here."""
    found: dict[str, list[str]] = {}
    for segment in manifest.segments:
        lack = absence(segment.runtime.adapter, segment.runtime.options) if segment.blob is not None else None
        if lack is not None:
            found.setdefault(lack.reason, []).append(f"{segment.index} ({segment.device})")
    return tuple(f"compiled, but never run: segment {', '.join(segments)}: {reason}" for reason, segments in found.items())


def compile_ahead(
    compiled: Compiled, folder: Path, files: Mapping[int, str], tell: Callable[[str], None], note: Callable[[str], None]
) -> dict[int, Blob] | Refusal:
    """By segment index, what was compiled beside its file in `folder`; segments that cannot be compiled here, or need not be, are left
    out. Or the first segment that a runtime's compiler refuses. `note` gets what the user should know, once. Raises CompilerCrashed."""
    made = {}
    for segment in compiled.segments:
        runtime = compiled.runtimes[segment.device]
        adapter = adapter_for(runtime.adapter, runtime.words)
        if adapter is None or not adapter.suffix or adapter.cannot_compile() is not None:
            continue
        file = str(Path(files[segment.index]).with_suffix(adapter.suffix))
        tell(f"compile {Path(files[segment.index]).stem} for {adapter.name}")
        try:
            key = blob_key(segment.without_weights(), adapter, runtime.words, segment.constants)
            build(adapter, runtime.words, folder / files[segment.index], key, folder / file, note)
        except SegmentRefused as problem:
            where = f"segment {segment.index} ({segment.device})"
            return Refusal(segment, SegmentRefused(problem.message, where=where, help=problem.help))
        except CompilerCrashed as crash:
            raise on_segment(crash, segment) from None
        made[segment.index] = Blob(file=file, versions=adapter.versions())
    return made
