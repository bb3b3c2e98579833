"""The proof that a runtime writes its outputs where it was told to, for runtimes that cannot be asked: what stood there before is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .adapter import Port
from .views import packed_bytes

if TYPE_CHECKING:
    import numpy

    Bytes = numpy.ndarray[Any, Any]

MARK = 0xA5
"""No tensor is made of this byte alone but by intent."""


def bytes_at(port: Port, size: int | None = None) -> Bytes:
    """The memory at a port's address, by default as much as its packed array takes. It belongs to the arena and must outlive the view."""
    import ctypes

    import numpy

    assert port.address is not None
    memory = (ctypes.c_ubyte * (packed_bytes(port) if size is None else size)).from_address(port.address)
    return numpy.frombuffer(memoryview(memory), numpy.uint8)


def mark(ports: Sequence[Port]) -> Mapping[str, Bytes]:
    """Fills the ports' memory before a run; to be given to `unwritten` after it."""
    marked = {port.name: bytes_at(port) for port in ports if packed_bytes(port)}
    for memory in marked.values():
        memory[...] = MARK
    return marked


def unwritten(marked: Mapping[str, Bytes]) -> tuple[str, ...]:
    """Ports whose memory is as `mark` left it."""
    import numpy

    return tuple(name for name, memory in marked.items() if bool(numpy.all(memory == MARK)))
