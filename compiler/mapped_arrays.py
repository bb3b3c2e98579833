"""Arrays that a long comparison keeps: beyond a few they lie in temporary files that are mapped, so that they take no private memory."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import UserError

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

IN_MEMORY = 1 << 25
"""Bytes that stay in memory: most models never have more."""
LEAST = 1 << 14
"""Bytes of an array below which a place in a file gains nothing."""
LINE = 64
"""Alignment in the file."""


class MappedArrays:
    """What is given to `kept` and lives on."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        """in_memory: bytes that are left where they are."""
        self._room = in_memory

    def kept(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same values, large arrays maybe in a mapped file, from which they can only be read. It has no name, and goes with the arrays.

        Raises UserError where the file cannot be written."""
        import numpy

        large = {k: v for k, v in values.items() if isinstance(v, numpy.ndarray) and v.dtype.kind in "fiub" and v.nbytes >= LEAST}
        size = sum(array.nbytes for array in large.values())
        if size <= self._room:
            self._room -= size
            return values
        try:
            return {**values, **_mapped(large)}
        except OSError as problem:
            message = f"cannot write a temporary file of {size} bytes: {problem.strerror or problem}"
            raise UserError(message, where=tempfile.gettempdir(), help="make room there, or set TMPDIR to a folder that has some") from None


def _mapped(arrays: Mapping[str, Array]) -> dict[str, Array]:
    import numpy

    offsets: dict[str, int] = {}
    with tempfile.TemporaryFile(prefix="autoglmc-") as file:
        for name, array in arrays.items():
            file.seek(-file.tell() % LINE, 1)
            offsets[name] = file.tell()
            file.write(numpy.ascontiguousarray(array).data)
        file.flush()
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return {k: numpy.frombuffer(whole, a.dtype, a.size, offsets[k]).reshape(a.shape) for k, a in arrays.items()}
