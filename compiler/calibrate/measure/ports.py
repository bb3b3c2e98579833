"""The inputs and outputs of a model as ports over memory of their own, filled as a run would get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ....targets.dtypes import DTYPE, ELEMENT
from ...devices.adapter import Port
from ...devices.views import ONNX_TYPES, numpy_dtype
from ...inputs.generate_inputs import generate_inputs

if TYPE_CHECKING:
    import numpy
    import onnx

ALIGNED = 64


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a model reads and writes."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    values: Mapping[str, Any]
    """Inputs that have no address."""
    memory: tuple[Any, ...]
    """Held as long as a session may read and write it."""


def ports_of(model: onnx.ModelProto, seed: int = 0) -> Ports:
    """Raises ModelError for an input that no values can be made for."""
    made = generate_inputs(model, seed)
    memory: list[Any] = []
    inputs = tuple(_port(value, memory) for value in model.graph.input if value.name in made)
    for port, view in zip(inputs, memory, strict=True):
        if view is not None:
            view[...] = made[port.name]
    outputs = tuple(_port(value, memory) for value in model.graph.output)
    return Ports(inputs, outputs, {port.name: made[port.name] for port in inputs if port.address is None}, tuple(memory))


def _port(value: onnx.ValueInfoProto, memory: list[Any]) -> Port:
    tensor = value.type.tensor_type
    dims = tuple(dim.dim_value for dim in tensor.shape.dim if dim.HasField("dim_value"))
    known = value.type.HasField("tensor_type") and tensor.HasField("shape") and len(dims) == len(tensor.shape.dim)
    kind = next((name for name, code in ELEMENT.items() if code == tensor.elem_type), "sequence")
    if not known or kind not in ONNX_TYPES or DTYPE.get(tensor.elem_type) != kind:
        memory.append(None)
        return Port(value.name, kind, dims if known else None, None)
    view = _aligned(dims, kind)
    memory.append(view)
    return Port(value.name, kind, dims, view.ctypes.data)


def _aligned(dims: tuple[int, ...], dtype: str) -> numpy.ndarray[Any, Any]:
    import numpy

    made = numpy_dtype(dtype)
    size = int(numpy.prod(dims, dtype=numpy.int64)) * made.itemsize
    raw = numpy.zeros(size + ALIGNED, numpy.uint8)
    start = -raw.ctypes.data % ALIGNED
    return raw[start : start + size].view(made).reshape(dims)
