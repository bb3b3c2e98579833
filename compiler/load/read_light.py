"""A model file without its large weights: where each of them lies in the very file, found on protobuf's wire format."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from ...passes.mapped.mapped_tensor import PLACE, is_mapped
from ..errors import ModelError
from .part_of import GRAPH, INITIALIZER
from .structure import all_tensors

if TYPE_CHECKING:
    import onnx

Data: TypeAlias = bytes | mmap.mmap
Span = tuple[int, int]
"""Begin and end of what a field holds."""
LENGTH_DELIMITED = 2
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 9, 13, 14
"""Field numbers of TensorProto."""


def read_light(data: Data, least: int, where: str) -> tuple[onnx.ModelProto, Mapping[int, Span]]:
    """The model, and by number of the main graph's initializers where raw data of at least so many bytes lies, which is left out.
    where: the file, for messages.

    Raises ValueError for what is no protobuf message, DecodeError for no model, and as `refuse_stubs`."""
    import onnx

    spans: dict[int, Span] = {}
    number = -1

    def light_tensor(tensor: Span) -> bytes | None:
        nonlocal number
        number += 1
        span = _raw_data(data, tensor, least)
        if span is None:
            return None
        spans[number] = span
        return _field(INITIALIZER, _with(data, tensor, RAW_DATA, lambda raw: b""))

    def light_graph(graph: Span) -> bytes:
        return _field(GRAPH, _with(data, graph, INITIALIZER, light_tensor))

    model = onnx.ModelProto()
    model.ParseFromString(_with(data, (0, len(data)), GRAPH, light_graph))
    refuse_stubs(model, where)
    return model, spans


def refuse_stubs(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError for a model from outside that has a stub (passes/mapped), which may name any file of this machine."""
    forged = next((tensor.name or "without a name" for tensor in all_tensors(model) if is_mapped(tensor)), None)
    if forged is not None:
        message = f"the data of weight '{forged}' is said to be elsewhere ({PLACE}), which only autoglmc may write"
        raise ModelError(message, where=where, help="export the model again, or load the weights too: onnx.load(path)")


def _field(number: int, held: bytes) -> bytes:
    return head_of(number, len(held)) + held


def _raw_data(data: Data, tensor: Span, least: int) -> Span | None:
    """Where it lies, if the tensor has its data there and nowhere else that counts: the last field of several."""
    if tensor[1] - tensor[0] < least:
        return None
    raw = None
    for number, wire, start, stop in _whole_fields(data, tensor):
        if number in (EXTERNAL_DATA, DATA_LOCATION):
            return None
        if number == RAW_DATA and wire == LENGTH_DELIMITED:
            raw = start, stop
    return raw if raw is not None and raw[1] - raw[0] >= least else None


def _with(data: Data, message: Span, wanted: int, change: Callable[[Span], bytes | None]) -> bytes:
    """The message there, the fields of the wanted number as `change` makes them of where they lie; None leaves one as it is."""
    pieces: list[bytes] = []
    copied = at = message[0]
    for number, wire, start, stop in _whole_fields(data, message):
        made = change((start, stop)) if number == wanted and wire == LENGTH_DELIMITED else None
        if made is not None:
            pieces += [data[copied:at], made]
            copied = stop
        at = stop
    return b"".join([*pieces, data[copied:at]])


def _whole_fields(data: Data, message: Span) -> Iterator[tuple[int, int, int, int]]:
    """As `fields`. Raises ValueError for one that is none, or reaches beyond the message."""
    for number, wire, start, stop in fields(data, *message):
        if number < 0 or stop > message[1]:
            raise ValueError("no protobuf message")
        yield number, wire, start, stop


def fields(data: Data, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field, wire type, begin, end) of each protobuf field in data[start:end]; the last may reach past `end`; stops at nonsense."""
    while start < end:
        key, start = _varint(data, start, end)
        field, wire = key >> 3, key & 7
        if key < 0 or field == 0 or wire not in (0, 1, 2, 5):
            yield -1, wire, start, start
            return
        length = {1: 8, 5: 4}.get(wire, 0)
        if wire == 0:
            _, after = _varint(data, start, end)
            length = after - start
        elif wire == LENGTH_DELIMITED:
            length, start = _varint(data, start, end)
        yield field, wire, start, start + max(length, 0)
        start += max(length, 0)


def _varint(data: Data, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            return -1, at + 1
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    return -1, at


def head_of(number: int, size: int) -> bytes:
    """What precedes a field of so many bytes on the wire."""
    return _as_varint(number << 3 | LENGTH_DELIMITED) + _as_varint(size)


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
