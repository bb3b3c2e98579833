"""Initializers of all segments in one file: written once by content, aligned, never through a protobuf of the whole.

What is left inside the segments: initializers under 1 KiB (shapes, axes, scales: onnxruntime folds those while it loads, and their
headers would cost as much as they do), strings, and 4-bit numbers that are not raw yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from ...passes.mapped.mapped_tensor import data_of, inlined, is_mapped, refer

if TYPE_CHECKING:
    import onnx

Data: TypeAlias = "bytes | memoryview"
WEIGHTS = "weights.bin"
INLINE_BELOW = 1024
PAGE = 4096
"""Alignment of a large weight, so that a device can import its mapping."""
LARGE = 16 * PAGE
"""Bytes of a large one, of which the gap in front of it is a sixteenth at most."""
LINE = 64
"""Alignment of a smaller one."""


class WeightsFile:
    """Appends tensors to a file and remembers them by content; `sha256` and `size` describe what was written."""

    def __init__(self, stream: IO[bytes], behind: Path | None = None) -> None:
        """behind: what the stream writes to, where tensors are added to those that are there already."""
        self._stream = stream
        self._hash = hashlib.sha256()
        self._known: dict[bytes, int] = {}
        self.size = 0
        if behind is not None:
            self.size = behind.stat().st_size
            with behind.open("rb") as there:
                while part := there.read(1 << 24):
                    self._hash.update(part)

    def add(self, data: Data) -> int:
        """The offset of `data`, which is written if no equal bytes were before."""
        key = hashlib.sha256(data).digest()
        if key not in self._known:
            self._write(b"\0" * self.gap(len(data)))
            self._known[key] = self.size
            self._write(data)
        return self._known[key]

    def gap(self, size: int) -> int:
        """Bytes that would be left free in front of a tensor of `size` bytes."""
        return -self.size % (PAGE if size >= LARGE else LINE)

    def _write(self, data: Data) -> None:
        self._stream.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def referring(path: Path) -> onnx.ModelProto:
    """The model of a segment's file, with the weights that lie in the file of weights as stubs."""
    import onnx

    model = onnx.load_model(path, load_external_data=False)
    for tensor in tensors_in(model):
        if tensor.data_location == tensor.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            refer(tensor, path.parent / place["location"], int(place["offset"]), int(place["length"]))
    return model


def externalised(model: onnx.ModelProto, weights: WeightsFile, initializers: Iterable[onnx.TensorProto] = ()) -> onnx.ModelProto:
    """A copy of `model`, with further `initializers`, whose large initializers, those of bodies included, lie in `weights`. Nothing that is
    given is changed, and no large tensor copied."""
    import onnx

    copy = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _assign(copy, field.name, value)
    _copy_graph(model.graph, copy.graph, weights)
    _place_all(initializers, copy.graph, weights)
    return copy


def _assign(message: object, name: str, value: object) -> None:
    if hasattr(value, "CopyFrom"):
        getattr(message, name).CopyFrom(value)
    elif hasattr(value, "__len__") and not isinstance(value, (str, bytes)):
        getattr(message, name).extend(value)
    else:
        setattr(message, name, value)


def _copy_graph(source: onnx.GraphProto, destination: onnx.GraphProto, weights: WeightsFile) -> None:
    """All of `source`, the initializers one by one so that no large one is copied."""
    for field, value in source.ListFields():
        if field.name not in ("initializer", "node"):
            _assign(destination, field.name, value)
    for node in source.node:
        _copy_node(node, destination.node.add(), weights)
    _place_all(source.initializer, destination, weights)


def _copy_node(source: onnx.NodeProto, destination: onnx.NodeProto, weights: WeightsFile) -> None:
    if not any(attribute.HasField("g") or attribute.graphs for attribute in source.attribute):
        destination.CopyFrom(source)
        return
    for field, value in source.ListFields():
        if field.name != "attribute":
            _assign(destination, field.name, value)
    for attribute in source.attribute:
        copied = destination.attribute.add()
        copied.name, copied.type = attribute.name, attribute.type
        if attribute.HasField("g"):
            _copy_graph(attribute.g, copied.g, weights)
        elif attribute.graphs:
            for graph in attribute.graphs:
                _copy_graph(graph, copied.graphs.add(), weights)
        else:
            copied.CopyFrom(attribute)


def _place_all(sources: Iterable[onnx.TensorProto], destination: onnx.GraphProto, weights: WeightsFile) -> None:
    """In their order; in the file smaller ones fill the gaps in front of large ones, as far as they fit, and the rest of them follows. Of
    `sources`, which may be made one by one, only smaller ones are held meanwhile."""
    smaller: list[tuple[Data, onnx.TensorProto, onnx.TensorProto]] = []
    for source in sources:
        placed, data = destination.initializer.add(), _raw(source)
        if data is None or len(data) < INLINE_BELOW:
            placed.CopyFrom(inlined(source))
        elif len(data) < LARGE:
            smaller.append((data, source, placed))
        else:
            _fill(weights.gap(len(data)), smaller, weights)
            _place(data, source, placed, weights)
    for data, source, placed in smaller:
        _place(data, source, placed, weights)


def _fill(room: int, pending: list[tuple[Data, onnx.TensorProto, onnx.TensorProto]], weights: WeightsFile) -> None:
    """Takes those out of `pending` that fit into `room` bytes behind what was written."""
    end, left = weights.size + room, []
    for one in pending:
        if weights.size + weights.gap(len(one[0])) + len(one[0]) <= end:
            _place(*one, weights)
        else:
            left.append(one)
    pending[:] = left


def _place(data: Data, source: onnx.TensorProto, destination: onnx.TensorProto, weights: WeightsFile) -> None:
    destination.name, destination.data_type = source.name, source.data_type
    destination.dims.extend(source.dims)
    destination.data_location = destination.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", str(weights.add(data))), ("length", str(len(data)))):
        entry = destination.external_data.add()
        entry.key, entry.value = key, value


def _raw(tensor: onnx.TensorProto) -> Data | None:
    """The tensor's bytes as a file holds them; None for one that stays inside the model."""
    if is_mapped(tensor):
        return data_of(tensor)
    if tensor.data_location == tensor.EXTERNAL:
        raise ValueError(f"initializer {tensor.name!r} of a segment is not inline")
    if tensor.HasField("raw_data"):
        return tensor.raw_data
    if tensor.data_type in (tensor.STRING, tensor.INT4, tensor.UINT4):
        return None
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor).tobytes()


def tensors_in(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor of a model: those of its graph, of its functions, and of what it says about training."""
    yield from tensors_of(model.graph)
    for function in model.functions:
        yield from _attributes(function.node)
        yield from _values(function.attribute_proto)
    for training in model.training_info:
        yield from tensors_of(training.initialization)
        yield from tensors_of(training.algorithm)


def tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor of a graph: initializers and tensor attributes, bodies included."""
    yield from graph.initializer
    yield from _sparse(graph.sparse_initializer)
    yield from _attributes(graph.node)


def _attributes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        yield from _values(node.attribute)


def _values(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        yield from _sparse((attribute.sparse_tensor, *attribute.sparse_tensors))
        for body in (attribute.g, *attribute.graphs):
            yield from tensors_of(body)


def _sparse(tensors: Iterable[onnx.SparseTensorProto]) -> Iterator[onnx.TensorProto]:
    for sparse in tensors:
        yield from (sparse.values, sparse.indices)
