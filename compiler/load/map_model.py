"""A model file without its large weights: each is declared as data at its place in the very file, and read by whoever maps it."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .hide_weights import SMALL
from .read_light import Data, read_light
from .structure import all_tensors
from .tensor_data import packed_bits
from .weights import External, is_external, load_tensor, located

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]


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
    model, spans = read_light(_map_file(path), SMALL, str(path))
    for number, (begin, end) in spans.items():
        tensor = model.graph.initializer[number]
        tensor.data_location = tensor.EXTERNAL
        for key, value in (("location", path.name), ("offset", str(begin)), ("length", str(end - begin))):
            tensor.external_data.add(key=key, value=value)
    return model
