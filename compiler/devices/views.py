"""Numpy views of addresses in an arena, and the dtype names on both sides."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, Protocol

from ...targets.dtypes import ADDRESSABLE, ELEMENT, NUMPY

if TYPE_CHECKING:
    import numpy

ONNX_TYPES = {dtype: ELEMENT[dtype] for dtype in sorted(ADDRESSABLE)}
"""TensorProto.DataType of every dtype that can live in an arena."""


class Sized(Protocol):
    """Anything with a dtype (our name) and a shape, None where it is open."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...] | None: ...


class Addressed(Sized, Protocol):
    """With an address, None for a value passed by name."""

    @property
    def address(self) -> int | None: ...


def numpy_dtype(dtype: str) -> numpy.dtype[Any]:
    """Our dtype name as numpy's; bf16 is ml_dtypes' type, which onnx uses too. KeyError for one that has no array form."""
    import numpy

    if dtype not in ONNX_TYPES:
        raise KeyError(dtype)
    if dtype == "bf16":
        import ml_dtypes

        brain: numpy.dtype[Any] = numpy.dtype(ml_dtypes.bfloat16)
        return brain
    return numpy.dtype(NUMPY[dtype])


def packed_bytes(port: Sized) -> int:
    """Bytes of the packed array; 0 where the shape is open."""
    return 0 if port.shape is None else math.prod(port.shape) * numpy_dtype(port.dtype).itemsize


def bytes_at(port: Addressed, size: int) -> numpy.ndarray[Any, Any]:
    """uint8[size] at the port's address. The memory belongs to the arena and must outlive the view."""
    import numpy

    assert port.address is not None
    memory = (ctypes.c_ubyte * size).from_address(port.address)
    return numpy.frombuffer(memoryview(memory), numpy.uint8) if size else numpy.empty(0, numpy.uint8)


def view_at(port: Addressed) -> numpy.ndarray[Any, Any]:
    """The packed array at the port's address, of its dtype and shape. The memory belongs to the arena and must outlive the view."""
    assert port.shape is not None
    dtype = numpy_dtype(port.dtype)
    return bytes_at(port, math.prod(port.shape) * dtype.itemsize).view(dtype).reshape(port.shape)
