"""Weights behind the flatbuffer of a .tflite file lie where the file says: whether that is inside the file, which LiteRT does not ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

IDENTIFIER = b"TFL3"


def beyond_the_end(content: numpy.ndarray[Any, Any]) -> None:
    """Raises ValueError for a file that is not .tflite, or whose weights reach beyond its end: one that was cut off."""
    import struct

    from ai_edge_litert.schema_py_generated import Model

    if content.size < 8 or content[4:8].tobytes() != IDENTIFIER:
        raise ValueError("it is not a .tflite file")
    try:
        model = Model.GetRootAs(content, 0)
        ends = [0, *(one.Offset() + one.Size() for one in map(model.Buffers, range(model.BuffersLength())) if one.Offset() > 1)]
    except (struct.error, IndexError, ValueError, TypeError) as error:
        raise ValueError("it is not a whole .tflite file") from error
    if max(ends) > content.size:
        raise ValueError(f"it was cut off: its weights end at byte {max(ends):,}, the file at {content.size:,}")
