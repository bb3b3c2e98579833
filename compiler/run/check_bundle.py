"""Whether a bundle's files and manifest can be trusted before anything of it runs. A bundle is hostile input: it may come from anywhere.

Checked here: every file lies in the folder, is listed, has its size and hash; segments name only listed weights; the schedule reads only
what was written; no two live slots overlap.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ..arena.validate import violations
from ..bundle.files import files_of, inside, sha256_of
from ..bundle.manifest import Manifest
from ..bundle.plan_records import SlotRecord, StepRecord
from ..devices.ort_settings import OPTIMISERS
from ..devices.views import ONNX_TYPES
from ..errors import BundleError


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises BundleError naming the file that is missing, outside the folder, or not what the manifest says."""
    for name, record in manifest.files.items():
        path = inside(folder, name)
        field = f"files[{name!r}]"
        try:
            status = path.lstat()
        except OSError as error:
            raise BundleError(f"{name} is missing: {error.strerror}", where=str(folder)) from None
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{name} is not a regular file", where=str(folder))
        if status.st_size != record.size:
            raise BundleError(f"{name} has {status.st_size} bytes, {field}.size says {record.size}", where=str(folder))
        found = sha256_of(path)
        if found != record.sha256:
            raise BundleError(f"{name} has sha256 {found}, {field}.sha256 says {record.sha256}", where=str(folder))
    for segment in manifest.segments:
        for used in (segment.file, *files_of(folder, segment.blob)):
            if used not in manifest.files:
                raise BundleError(f"segments[{segment.index}] names {used}, which is not among files", where=str(folder))


def check_external_data(folder: Path, manifest: Manifest) -> None:
    """Raises BundleError where a segment's external data is not a listed file beside it."""
    import onnx

    for segment in manifest.segments:
        try:
            model = onnx.load_model(inside(folder, segment.file), load_external_data=False)
        except Exception as error:  # protobuf's own error types differ between its back ends
            raise BundleError(f"{segment.file} is not an ONNX model: {error}", where=str(folder)) from None
        for location in sorted(set(_locations(model.graph))):
            name = f"{PurePosixPath(segment.file).parent}/{location}"
            if "/" in location or name not in manifest.files:
                raise BundleError(f"{segment.file} reads weights from {location!r}, which is not among files", where=str(folder))


def _locations(graph: object) -> Iterator[str]:
    """External data of the initializers and of every tensor attribute, bodies included."""
    from ..bundle.weights import tensors_of

    for tensor in tensors_of(graph):  # type: ignore[arg-type]
        if tensor.data_location == tensor.EXTERNAL:
            yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def check_plan(manifest: Manifest, where: str) -> None:
    """Raises BundleError where the arena or the schedule contradicts itself."""
    slots = manifest.arena.slots
    for index, slot in enumerate(slots):
        needed = slot.packed
        if slot.dtype not in ONNX_TYPES or needed is None or needed > slot.bytes or slot.lifetime[0] > slot.lifetime[1]:
            what = f"{slot.bytes} bytes, lifetime {list(slot.lifetime)}, do not hold {slot.dtype}{list(slot.shape)}"
            raise BundleError(f"arena.slots[{index}] ({slot.tensor}): {what}", where=where)
    broken = violations(slots, manifest.arena.total)
    if broken:
        raise BundleError(f"arena.slots: {broken[0]}", where=where)
    if not manifest.model.outputs:
        raise BundleError("model.outputs is empty", where=where)
    for value in (*manifest.model.inputs, *manifest.model.outputs):
        if value.slot is None:
            continue
        if value.slot >= len(slots) or (slots[value.slot].dtype, slots[value.slot].shape) != (value.dtype, value.shape):
            raise BundleError(f"model: {value.name!r} is {value.dtype}{list(value.shape or ())}, its slot {value.slot} is not", where=where)
    _check_schedule(manifest, where)
    _check_names(manifest, where)
    judged, planned = manifest.verification.segments, manifest.segments
    if [(one.index, one.device) for one in judged] != [(segment.index, segment.device) for segment in planned]:
        raise BundleError("verification.segments are not those of the bundle", where=where)
    _check_optimisers(manifest, where)


def _check_optimisers(manifest: Manifest, where: str) -> None:
    for segment in manifest.segments:
        off, field = segment.runtime.optimizers_off, f"segments[{segment.index}].runtime.optimizers_off"
        if unknown := [name for name in off if name not in OPTIMISERS]:
            raise BundleError(f"{field}: {unknown[0]!r} is no optimiser of onnxruntime", where=where)
        if len(set(off)) < len(off):
            raise BundleError(f"{field} names an optimiser twice", where=where)


def _check_names(manifest: Manifest, where: str) -> None:
    """Values outside the arena: listed, and made before they are read."""
    listed = {value.tensor for value in manifest.arena.host_values}
    known = {value.name for value in manifest.model.inputs if value.slot is None}
    for step in manifest.schedule:
        if step.segment is None:
            continue
        segment = manifest.segments[step.segment]
        unknown = [port.tensor for port in segment.inputs if port.slot is None and port.tensor not in known]
        if unknown:
            raise BundleError(f"segments[{segment.index}] reads {unknown[0]!r} by name before anything makes it", where=where)
        known |= {port.tensor for port in segment.outputs if port.slot is None}
    missing = sorted(known - listed) + [v.name for v in manifest.model.outputs if v.slot is None and v.name not in known]
    if missing:
        raise BundleError(f"{missing[0]!r} has no slot, and arena.host_values does not list it or nothing makes it", where=where)


def _check_schedule(manifest: Manifest, where: str) -> None:
    slots = manifest.arena.slots
    written = {value.slot for value in manifest.model.inputs}
    run: list[int] = []
    for step, record in enumerate(manifest.schedule):
        at = f"schedule[{step}]"
        _check_form(record, at, where)
        if record.kind == "run":
            if record.segment is None or record.segment >= len(manifest.segments):
                raise BundleError(f"{at} runs segment {record.segment}, there are {len(manifest.segments)}", where=where)
            segment = manifest.segments[record.segment]
            reads, writes = [p.slot for p in segment.inputs], [p.slot for p in segment.outputs]
            run.append(record.segment)
        else:
            reads, writes = [record.source], [record.destination]
            _check_copy(slots, record.source, record.destination, at, where)
        for slot in (*reads, *writes):
            if slot is not None and (slot >= len(slots) or not slots[slot].lifetime[0] <= step <= slots[slot].lifetime[1]):
                raise BundleError(f"{at} uses slot {slot}, which is not live there", where=where)
        if any(slot is not None and slot not in written for slot in reads):
            raise BundleError(f"{at} reads a slot that no step before it writes", where=where)
        written |= set(writes)
    if sorted(run) != list(range(len(manifest.segments))) or [s.index for s in manifest.segments] != list(range(len(manifest.segments))):
        raise BundleError("schedule does not run every segment exactly once", where=where)
    last = max(len(manifest.schedule) - 1, 0)
    for output in manifest.model.outputs:
        if output.slot is not None and (output.slot not in written or slots[output.slot].lifetime[1] < last):
            raise BundleError(f"the output {output.name!r} is not in its slot after the last step", where=where)


def _check_form(record: StepRecord, at: str, where: str) -> None:
    """A run has a segment and nothing else, a copy two slots and nothing else: runners look at either."""
    slots = (record.source, record.destination)
    if (record.kind == "run") != (record.segment is not None) or (record.kind == "run" and slots != (None, None)):
        what = f"{at} is a {record.kind} step of segment {record.segment} and slots {list(slots)}"
        raise BundleError(
            f"{what}: a run step has a segment, a {'copy' if record.kind == 'run' else record.kind} step two slots", where=where
        )


def _check_copy(slots: Sequence[SlotRecord], source: int | None, destination: int | None, at: str, where: str) -> None:
    known = range(len(slots))
    if source not in known or destination not in known or source is None or destination is None:
        raise BundleError(f"{at} copies from slot {source} to slot {destination}, there are {len(slots)}", where=where)
    a, b = slots[source], slots[destination]
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        raise BundleError(f"{at} copies {a.dtype}{list(a.shape)} into {b.dtype}{list(b.shape)}", where=where)
