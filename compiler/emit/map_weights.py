"""Weights that stay in the bundle's file while it runs, so that sessions hold no more of their own than is allowed.

onnxruntime maps the file of weights. What takes private memory is the form in which kernels want them (devices/packed_weights.py): that is
added to the file, until the rest fits. A weight that two entries pack alike is there once, and both sessions map the same pages.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from ...targets.model import Target
from ..activity import doing
from ..bundle.blobs.blob_source import joined_digest
from ..bundle.entries import open_together, views
from ..bundle.files import files_of
from ..bundle.manifest import SEGMENTS, FileRecord, Manifest
from ..bundle.plan_records import SegmentRecord
from ..bundle.resident_record import HeldRecord, ResidentRecord
from ..bundle.weights import WEIGHTS, WeightsFile, tensors_in
from ..devices.ort_settings import OrtSettings
from ..devices.packed_weights import Packed, packed_segment, packing_processor, packing_runtime
from ..errors import UsageError
from ..quantities import size

if TYPE_CHECKING:
    import onnx

ORT = "ort"
Places = tuple[tuple[int, int], ...]
"""(offset, bytes) of the parts of one packed form."""


class NotKept(UsageError):
    """A budget for resident weights that sessions exceed."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Weights of one segment."""

    forms: Mapping[str, tuple[Packed, ...]]
    """By initializer, in the file that collects those of all segments."""
    own: int
    mapped: int

    @property
    def sizes(self) -> list[int]:
        return [form.size for each in self.forms.values() for form in each]


def map_weights(folder: Path, manifest: Manifest, budget: int, target: Target) -> Manifest:
    """The manifest, to be written, of the bundle in `folder`, whose sessions hold at most `budget` bytes of weights of their own, all that
    are open at the same time together.

    Raises NotKept with the smallest budget that can be kept, where this one cannot."""
    segments = {segment.file: segment for view in views(manifest) for segment in view.segments}
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as scratch:
        pool = Path(scratch) / "packed.bin"
        with pool.open("wb") as stream:
            collected = WeightsFile(stream)
            found = {file: _found(folder, segment, collected) for file, segment in segments.items()}
        groups = [{s.file: found[s.file] for view in plans for s in view.segments} for plans in open_together(manifest).values()]
        together = [list(group.values()) for group in groups]
        least = max(sum(one.own for one in group) + max((form for one in group for form in one.sizes), default=0) for group in together)
        if budget < least:
            what = f"{size(budget)} of resident weights cannot be kept: sessions hold {size(least)} of their own while they are loaded"
            raise NotKept(what, where="--resident", help=f"--resident {least} (bytes) is the smallest that can")
        chosen = frozenset[Places]()
        for group in together:
            chosen = _chosen(group, budget, chosen)
        files, packed = _written(folder, manifest, found, chosen, pool)
    held = {file: _held(one, chosen) for file, one in found.items()}
    record = ResidentRecord(
        budget=budget,
        least=least,
        packed=packed,
        runtime=packing_runtime(),
        processor=packing_processor(),
        reading=_reading([sum(held[s.file].mapped for s in view.segments) for view in views(manifest)], target),
        segments=held,
    )
    for segment in segments.values():
        for name in files_of(folder, segment.blob):
            sharing = [one for one in segments.values() if one.blob == segment.blob]
            files[name] = structs.replace(files[name], compiled_from=joined_digest(sharing, files))
    return structs.replace(manifest, files=files, resident=record)


def _found(folder: Path, segment: SegmentRecord, pool: WeightsFile) -> _Found:
    """Weights of a segment, their packed forms added to the pool. What another runtime makes of them is not known: it counts as private."""
    path = folder / segment.file
    if segment.runtime.adapter != ORT:
        return _Found({}, sum(_length(tensor) for tensor in tensors_in(_read(path))), 0)
    settings = OrtSettings(segment.runtime.optimisation, segment.runtime.optimizers_off)
    with doing(f"packing the weights of segment {segment.index} ({segment.device})"), packed_segment(path, settings) as packed:
        forms = {name: tuple(_pooled(packed.file, form, pool) for form in each) for name, each in packed.forms.items()}
        return _Found(forms, packed.own, packed.mapped)


def _pooled(file: Path, form: Packed, pool: WeightsFile) -> Packed:
    """The same form, where it lies in the pool."""
    places = []
    with file.open("rb") as source:
        for offset, length in form.places:
            source.seek(offset)
            places.append((pool.add(source.read(length)), length))
    return Packed(form.key, tuple(places))


def _read(path: Path) -> onnx.ModelProto:
    import onnx

    return onnx.load_model(path, load_external_data=False)


def _length(tensor: onnx.TensorProto) -> int:
    return next((int(entry.value) for entry in tensor.external_data if entry.key == "length"), len(tensor.raw_data))


def _chosen(found: Sequence[_Found], budget: int, before: Set[Places]) -> frozenset[Places]:
    """Forms that go into the file beside those that do already: those that save most, until the rest fits, and beside it the largest of
    them, which a session packs for itself before it takes the file's."""
    saved: dict[Places, int] = {}
    sizes: dict[Places, int] = {}
    for form in (form for one in found for each in one.forms.values() for form in each):
        saved[form.places], sizes[form.places] = saved.get(form.places, 0) + form.size, form.size
    chosen = saved.keys() & before
    private = sum(one.own for one in found) + sum(size for places, size in saved.items() if places not in chosen)
    for places in sorted(saved.keys() - chosen, key=lambda places: (-saved[places], places)):
        if private + max((sizes[one] for one in chosen), default=0) <= budget:
            break
        chosen.add(places)
        private -= saved[places]
    return frozenset(before | chosen)


def _held(found: _Found, chosen: Set[Places]) -> HeldRecord:
    mapped = [form.size for each in found.forms.values() for form in each if form.places in chosen]
    whole = found.own + sum(found.sizes)
    unmapped = tuple(name for name, each in found.forms.items() if any(form.places not in chosen for form in each))
    return HeldRecord(
        private=whole - sum(mapped), mapped=found.mapped + sum(mapped), whole=whole, packing=max(mapped, default=0), unmapped=unmapped
    )


def _reading(mapped: Sequence[int], target: Target) -> float | None:
    """Seconds in which the slowest memory that only holds weights gives all that one run reads where it is mapped."""
    stores = [memory.bandwidth for memory in target.memories if memory.holds == ("weights",)]
    return max(mapped, default=0) / min(stores) if stores else None


def _written(
    folder: Path, manifest: Manifest, found: Mapping[str, _Found], chosen: Set[Places], pool: Path
) -> tuple[dict[str, FileRecord], int]:
    """Adds the chosen forms to the file of weights, and to the segments where they lie. The records of all files, and the bytes added."""
    files, place, name = dict(manifest.files), folder / SEGMENTS / WEIGHTS, f"{SEGMENTS}/{WEIGHTS}"
    if not chosen:
        return files, 0
    with place.open("ab") as stream, pool.open("rb") as source:
        weights = WeightsFile(stream, behind=place)
        moved = {}
        for places in sorted(chosen):
            parts = []
            for offset, length in places:
                source.seek(offset)
                parts.append(f"{weights.add(source.read(length))};{length};0")
            moved[places] = "|".join(parts)
    packed = weights.size - files[name].size
    files[name] = FileRecord(sha256=weights.sha256, size=weights.size, compiled_from=None)
    for file, one in found.items():
        model = _read(folder / file)
        for tensor in model.graph.initializer:
            mapped = [form for form in one.forms.get(tensor.name, ()) if form.places in chosen]
            for k, form in enumerate(mapped):
                tensor.external_data.add(key=f"prepacked_{k}", value=f"{form.key}|{moved[form.places]}")
        data = model.SerializeToString(deterministic=True)
        (folder / file).write_bytes(data)
        files[file] = FileRecord(sha256=hashlib.sha256(data).hexdigest(), size=len(data), compiled_from=None)
    return files, packed
