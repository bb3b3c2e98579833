"""Whether a bundle's segments are what its manifest says: ports, dtypes, shapes, opset, kernels; and read no file but the bundle's weights.

Files are parsed here for the first time, by onnx's protobuf alone, after their hashes were checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ....targets.dtypes import DTYPE
from ...bundle.files import inside
from ...bundle.manifest import Manifest
from ...bundle.plan_records import PortRecord, SegmentRecord
from ...bundle.weights import tensors_in
from ...devices.packed_weights import PREPACKED
from ...errors import BundleError, first_line
from .check_memories import unreadable

if TYPE_CHECKING:
    import onnx

KEYS = frozenset({"location", "offset", "length"})
"""What the external data of a bundle's tensor states, each once; where weights stay in the file, PREPACKED beside."""


def check_segments(folder: Path, manifest: Manifest) -> None:
    """Raises BundleError naming the segment and the field, tensor or file that does not fit."""
    host = {value.tensor: value.dtype for value in manifest.arena.host_values}
    for segment in manifest.segments:
        if manifest.resident is not None and segment.file not in manifest.resident.segments:
            raise BundleError(f"resident.segments does not say what {segment.file} holds", where=str(folder))
        model = _read(folder, segment)
        problem = (
            next(_misplaced(segment, model, manifest), "")
            or _wrong_versions(segment, model)
            or next(_wrong_ports(segment, model, manifest, host), "")
            or _wrong_kernels(segment, model)
            or unreadable(segment, model)
        )
        if problem:
            raise BundleError(problem, where=str(folder))


def _read(folder: Path, segment: SegmentRecord) -> onnx.ModelProto:
    import onnx

    try:
        return onnx.load_model(inside(folder, segment.file), load_external_data=False)
    except BundleError:
        raise
    except Exception as error:  # protobuf's own error types differ between its back ends
        raise BundleError(f"{segment.file} is not an ONNX model: {first_line(error)}", where=str(folder)) from None


def _misplaced(segment: SegmentRecord, model: onnx.ModelProto, manifest: Manifest) -> Iterator[str]:
    """Tensors whose data lies anywhere but in a listed file beside the segment: initializers, attributes, bodies, functions."""
    for tensor in tensors_in(model):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        facts = {entry.key: entry.value for entry in tensor.external_data}
        location = facts.get("location", "")
        name = f"{PurePosixPath(segment.file).parent}/{location}"
        if "/" in location or name not in manifest.files:
            yield f"{segment.file} reads weights from {location!r}, which is not among files"
        elif _odd(facts.keys() - KEYS, manifest) or len(facts) < len(tensor.external_data):
            yield f"{segment.file}: the external data of {tensor.name!r} has the keys {sorted(e.key for e in tensor.external_data)}"
        elif not _within(facts, manifest.files[name].size):
            yield f"{segment.file}: {tensor.name!r} lies at {facts} of {name}, which has {manifest.files[name].size} bytes"
        elif wrong := [facts[key] for key in facts.keys() - KEYS if not _packed_within(facts[key], manifest.files[name].size)]:
            yield f"{segment.file}: {tensor.name!r} is packed at {wrong[0]!r} of {name}, which has {manifest.files[name].size} bytes"


def _odd(keys: Set[str], manifest: Manifest) -> bool:
    return any(manifest.resident is None or not PREPACKED.fullmatch(key) for key in keys)


def _within(facts: Mapping[str, str], size: int) -> bool:
    offset, length = facts.get("offset", "0"), facts.get("length", "0")
    short = max(len(offset), len(length)) < 20 and (offset + length).isascii() and (offset + length).isdecimal()
    return short and int(offset) + int(length) <= size


def _packed_within(value: str, size: int) -> bool:
    """KIND+HASH|OFFSET;BYTES;0|…, every part of it in the file."""
    parts = [part.split(";") for part in value.split("|")[1:]]
    return bool(parts) and all(len(one) == 3 and _within({"offset": one[0], "length": one[1]}, size) for one in parts)


def _wrong_versions(segment: SegmentRecord, model: onnx.ModelProto) -> str:
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    field = f"segments[{segment.index}].runtime"
    if segment.runtime.opset not in opsets or len(opsets) > 1:
        return f"{field}.opset is {segment.runtime.opset}, {segment.file} has {', '.join(map(str, opsets)) or 'none'}"
    if segment.runtime.ir_version != model.ir_version:
        return f"{field}.ir_version is {segment.runtime.ir_version}, {segment.file} has {model.ir_version}"
    return ""


def _wrong_ports(segment: SegmentRecord, model: onnx.ModelProto, manifest: Manifest, host: Mapping[str, str]) -> Iterator[str]:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    for field, ports, values in (("inputs", segment.inputs, inputs), ("outputs", segment.outputs, list(model.graph.output))):
        at = f"segments[{segment.index}].{field}"
        found = {value.name: value for value in values}
        if sorted(port.tensor for port in ports) != sorted(value.name for value in values):
            names = sorted({port.tensor for port in ports} ^ found.keys()) or [port.tensor for port in ports]
            yield f"{at} are not those of {segment.file}: {names[0]!r}"
            return
        yield from (f"{at}: {what}" for port in ports if (what := _wrong_type(port, found[port.tensor].type, manifest, host)))


def _wrong_type(port: PortRecord, kind: onnx.TypeProto, manifest: Manifest, host: Mapping[str, str]) -> str:
    which = kind.WhichOneof("value")
    dims = [d.dim_value if d.HasField("dim_value") else None for d in kind.tensor_type.shape.dim] if which == "tensor_type" else []
    dtype = DTYPE.get(kind.tensor_type.elem_type, "unknown") if which == "tensor_type" else str(which).removesuffix("_type")
    if port.slot is None:
        listed = host.get(port.tensor, "")
        return "" if listed == dtype or which != "tensor_type" else f"{port.tensor!r} is {dtype}, arena.host_values says {listed}"
    slot = manifest.arena.slots[port.slot]
    fits = not kind.tensor_type.HasField("shape") or (
        len(dims) == len(slot.shape) and all(dim in (None, extent) for dim, extent in zip(dims, slot.shape, strict=True))
    )
    return "" if dtype == slot.dtype and fits else f"{port.tensor!r} is {dtype}{dims}, slot {port.slot} {slot.dtype}{list(slot.shape)}"


def _wrong_kernels(segment: SegmentRecord, model: onnx.ModelProto) -> str:
    names = {name for node in model.graph.node for name in (node.name, *node.output)}
    unknown = next((name for kernel in segment.kernels for name in kernel if name not in names), None)
    return "" if unknown is None else f"segments[{segment.index}].kernels names {unknown!r}, which {segment.file} does not have"
