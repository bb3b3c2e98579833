"""The proof that a runtime writes its outputs at their addresses, whatever the runtime: their memory holds a mark before the run, and an
element that still holds it afterwards, twice and with two different marks, was not written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .views import Addressed, bytes_at, numpy_dtype

if TYPE_CHECKING:
    import numpy

    Bytes = numpy.ndarray[Any, Any]

MARKS = (0xA5, 0x5A)


@dataclass(frozen=True, slots=True)
class Unwritten:
    """An output of which at least one element was not written."""

    name: str
    elements: int
    """Not written."""
    of: int

    def __str__(self) -> str:
        return f"{self.elements} of {self.of} elements of {self.name} were not written"


def elements_at(port: Addressed) -> Bytes:
    """The port's packed bytes, uint8[elements, bytes of one]. The memory belongs to the arena and must outlive the view."""
    assert port.shape is not None
    count, width = math.prod(port.shape), numpy_dtype(port.dtype).itemsize
    return bytes_at(port, count * width).reshape(count, width)


def run_marked(run: Callable[[], object], outputs: Mapping[str, Bytes]) -> tuple[Unwritten, ...]:
    """Runs a segment, and again where an element still holds the mark, since that may be its value. `outputs`: what `elements_at` gives,
    by name; their values after the last run stay. Raises what `run` raises."""
    import numpy

    unwritten = {name: numpy.ones(len(rows), bool) for name, rows in outputs.items()}
    for mark in MARKS:
        for rows in outputs.values():
            rows[...] = mark
        run()
        for name, rows in outputs.items():
            unwritten[name] &= (rows == mark).all(axis=1)
        if not any(left.any() for left in unwritten.values()):
            return ()
    return tuple(Unwritten(name, int(left.sum()), len(left)) for name, left in unwritten.items() if left.any())
