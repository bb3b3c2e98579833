"""Tensors whose data stays in a file: in a model stands a stub, which says where it lies.

A stub is a TensorProto with name, dtype and dims, external in the sense of ONNX, with one entry of external data that no runtime knows: it
costs nothing to copy, and whoever takes it for a tensor with data fails loudly. `array_of`, `data_of` and `inlined` read either kind.
"""

from __future__ import annotations

import math
import mmap
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

LARGE = 1 << 16
"""Bytes of data from which on a tensor stays in its file."""
FILES = 8
"""Files whose mappings are kept at most."""
PLACE = "autoglmc.place"
"""Key of the entry of a stub: "offset:bytes:size of the file:its last change:file", the change in nanoseconds; of a weight that this
process wrote itself (spill.py) "offset:bytes:MARKED:mark:file", where the file begins with the mark, in hexadecimal digits."""
MARKED = "marked"


def refer(tensor: onnx.TensorProto, file: Path, offset: int, length: int) -> None:
    """Makes a stub of a tensor without data, in place. file: which must not change as long as the stub is used."""
    tensor.ClearField("raw_data")
    del tensor.external_data[:]
    tensor.data_location = tensor.EXTERNAL
    state = file.stat()
    tensor.external_data.add(key=PLACE, value=f"{offset}:{length}:{state.st_size}:{state.st_mtime_ns}:{file.resolve()}")


def refer_to_marked(tensor: onnx.TensorProto, file: Path, offset: int, length: int, mark: bytes) -> None:
    """The same for a file that begins with a mark, and may grow meanwhile. A descriptor of that name may be another file's by then: the
    mark tells."""
    tensor.data_location = tensor.EXTERNAL
    tensor.external_data.add(key=PLACE, value=f"{offset}:{length}:{MARKED}:{mark.hex()}:{file}")


def is_mapped(tensor: onnx.TensorProto) -> bool:
    """Whether it is a stub."""
    return bool(tensor.data_location == 1 and any(entry.key == PLACE for entry in tensor.external_data))  # 1: EXTERNAL


class DataGone(ValueError):
    """The file in which the data of a tensor lies is not there any more, or has become too short."""


def data_of(tensor: onnx.TensorProto) -> memoryview | bytes:
    """The bytes of raw_data; of a stub those of the mapped file, not to be written. Raises DataGone."""
    if not is_mapped(tensor):
        return bytes(tensor.raw_data)
    _, _, kind, mark, _ = _fields(tensor)
    file, offset, length = _place(tensor)
    known = _marked_files.get((file, mark)) if kind == MARKED else None
    if known is not None and len(known) >= offset + length:
        return memoryview(known)[offset : offset + length]
    try:
        state = os.stat(file)
        if state.st_size < offset + length:
            raise DataGone(f"the weights in '{file}' have changed while they were used: it has become shorter")
        if kind == MARKED:
            return _marked(tensor, file, state.st_size, mark)[offset : offset + length]
        return _mapping(file, state.st_size, state.st_mtime_ns, state.st_ino)[offset : offset + length]
    except OSError as problem:
        what = f"the weights in '{file}' cannot be read any more: {problem.strerror or problem}"
        raise DataGone(what) from problem


@lru_cache(maxsize=FILES)
def _mapping(file: str, size: int, changed: int, number: int) -> memoryview:
    """One for all tensors of a file: each keeps a descriptor open. It lives as long as anybody reads from it."""
    return memoryview(_mapped(file, size))


def _mapped(file: str, size: int) -> mmap.mmap:
    with open(file, "rb") as stream:
        return mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)


_marked_files: WeakValueDictionary[tuple[str, str], mmap.mmap] = WeakValueDictionary()
"""By file and mark, the latest mapping that somebody still reads from: each keeps a descriptor open, so there is not one for each tensor;
what is kept longer would keep the file on the disk."""


def _marked(tensor: onnx.TensorProto, file: str, size: int, mark: str) -> memoryview:
    whole = _mapped(file, size)
    if whole[: len(mark) // 2].hex() != mark:
        raise DataGone(f"the temporary file that weight '{tensor.name}' lies in is closed")
    _marked_files[file, mark] = whole
    return memoryview(whole)


def data_bytes(tensor: onnx.TensorProto) -> int:
    """How many those are."""
    return _place(tensor)[2] if is_mapped(tensor) else len(tensor.raw_data)


def array_of(tensor: onnx.TensorProto) -> Array:
    """The value, not to be written: what `numpy_helper.to_array` gives. That of a stub lies in the mapped file where numpy stores elements
    as the file does, and the address is aligned; else it is a copy."""
    import numpy
    from onnx import helper, numpy_helper

    if not is_mapped(tensor):
        return numpy_helper.to_array(tensor)
    dtype = numpy.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    count = math.prod(tensor.dims)
    if count * dtype.itemsize != data_bytes(tensor):
        return numpy_helper.to_array(inlined(tensor))
    found = numpy.frombuffer(data_of(tensor), dtype).reshape(tuple(tensor.dims))
    return found if found.flags.aligned else found.copy()


def inlined(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """With its data: a copy of a stub, any other tensor itself."""
    if not is_mapped(tensor):
        return tensor
    made = type(tensor)()
    made.CopyFrom(tensor)
    del made.external_data[:]
    made.ClearField("data_location")
    made.raw_data = bytes(data_of(tensor))
    return made


def inline_all(model: onnx.ModelProto) -> None:
    """Brings the data of all stubs of the main graph into the model, in place."""
    for tensor in model.graph.initializer:
        if is_mapped(tensor):
            tensor.CopyFrom(inlined(tensor))


def whole_size(tensor: onnx.TensorProto) -> int:
    """`ByteSize()` of the tensor with its data."""
    if not is_mapped(tensor):
        return int(tensor.ByteSize())
    length = data_bytes(tensor)
    head = type(tensor)()
    head.CopyFrom(tensor)
    del head.external_data[:]
    head.ClearField("data_location")
    return int(head.ByteSize()) + 1 + max((length.bit_length() + 6) // 7, 1) + length


def stubs_bytes(tensors: Iterable[onnx.TensorProto]) -> int:
    """Bytes that the stubs among them have in files."""
    return sum(data_bytes(tensor) for tensor in tensors if is_mapped(tensor))


def states_in(tensors: Iterable[onnx.TensorProto]) -> Mapping[Path, tuple[int, int]]:
    """The model's files that stubs among them name, with bytes and last change (nanoseconds) as they were when the stubs were made."""
    found = (_fields(tensor) for tensor in tensors if is_mapped(tensor))
    return {Path(file): (int(size), int(changed)) for _, _, size, changed, file in found if size != MARKED}


def _place(tensor: onnx.TensorProto) -> tuple[str, int, int]:
    offset, length, _, _, file = _fields(tensor)
    return file, int(offset), int(length)


def _fields(tensor: onnx.TensorProto) -> list[str]:
    place: str = next(entry.value for entry in tensor.external_data if entry.key == PLACE)
    return place.split(":", 4)
