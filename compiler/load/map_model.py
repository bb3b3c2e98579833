"""A model file without its large weights: each is declared as data at its place in the very file, and read by whoever maps it."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hide_weights import SMALL
from .part_of import GRAPH, INITIALIZER
from .read_model import LENGTH_DELIMITED, Data, fields
from .source import head_of
from .tensor_data import packed_bits
from .weights import External, all_tensors, is_external, load_tensor, located

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

RAW_DATA = 9
"""Field number of TensorProto.raw_data."""
Span = tuple[int, int]
"""Begin and end of what a field holds."""


def map_model(path: Path) -> tuple[onnx.ModelProto, Mapping[str, Array]]:
    """The model, and its large weights by name: arrays that lie in the mapped files, so that only what is read of them is in memory. In the
    model they are external, those from `path` itself too. All other data is in it.

    Raises ValueError for a file that is no protobuf message, ModelError for data that is not there, DecodeError for no model."""
    model = light_model(path)
    weights: dict[str, Array] = {}
    files: dict[Path, Data] = {}
    large = {id(tensor): tensor for tensor in model.graph.initializer if is_external(tensor) and _can_be_mapped(tensor)}
    for tensor in all_tensors(model):
        if is_external(tensor) and id(tensor) not in large:
            load_tensor(tensor, path)
    for tensor in large.values():
        place = located(tensor, path)
        if place.file not in files:
            files[place.file] = _map_file(place.file)
        weights[tensor.name] = _array(tensor, files[place.file], place)
    return model, weights


def _can_be_mapped(tensor: onnx.TensorProto) -> bool:
    """Whether numpy has its elements as the file has them, and there are any."""
    return packed_bits(tensor) % 8 == 0 and bool(packed_bits(tensor)) and math.prod(tensor.dims) > 0


def _map_file(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _array(tensor: onnx.TensorProto, data: Data, place: External) -> Array:
    import numpy
    from onnx import helper

    dtype = numpy.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return numpy.frombuffer(data, dtype, math.prod(tensor.dims), place.offset).reshape(tuple(tensor.dims))


def light_model(path: Path) -> onnx.ModelProto:
    """The model, its large weights declared as external data in the file itself. Raises as `map_model` does."""
    import onnx

    data = _map_file(path)
    model = onnx.ModelProto()
    model.ParseFromString(_with(data, (0, len(data)), GRAPH, lambda graph: _light_graph(data, graph, path.name)))
    return model


def _light_graph(data: Data, graph: Span, file: str) -> bytes:
    return _with(data, graph, INITIALIZER, lambda tensor: _light_tensor(data, tensor, file))


def _with(data: Data, message: Span, wanted: int, change: Callable[[Span], bytes]) -> bytes:
    """The message there, the fields of the wanted number as `change` makes them of where they lie."""
    pieces: list[bytes] = []
    at = message[0]
    for number, wire, start, stop in _whole_fields(data, message):
        if number == wanted and wire == LENGTH_DELIMITED:
            made = change((start, stop))
            pieces += [head_of(number, len(made)), made]
        else:
            pieces.append(data[at:stop])
        at = stop
    return b"".join(pieces)


def _whole_fields(data: Data, message: Span) -> Iterator[tuple[int, int, int, int]]:
    """As `fields`. Raises ValueError for one that is none, or reaches beyond the message."""
    for number, wire, start, stop in fields(data, *message):
        if number < 0 or stop > message[1]:
            raise ValueError("no protobuf message")
        yield number, wire, start, stop


def _light_tensor(data: Data, tensor: Span, file: str) -> bytes:
    """The tensor as it is, or with external data in place of large raw data."""
    import onnx

    begin, end = tensor
    held = _whole_fields(data, tensor) if end - begin >= SMALL else ()
    raw = [(start, stop) for number, wire, start, stop in held if number == RAW_DATA and wire == LENGTH_DELIMITED]
    if not raw or raw[-1][1] - raw[-1][0] < SMALL:
        return data[begin:end]
    offset, stop = raw[-1]
    place = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", file), ("offset", str(offset)), ("length", str(stop - offset))):
        place.external_data.add(key=key, value=value)
    return _without_raw(data, tensor) + bytes(place.SerializeToString())


def _without_raw(data: Data, tensor: Span) -> bytes:
    pieces, at = [], tensor[0]
    for number, _, _, stop in _whole_fields(data, tensor):
        if number != RAW_DATA:
            pieces.append(data[at:stop])
        at = stop
    return b"".join(pieces)
