"""Messages between a process and its child: pickled, each after the lengths of its parts. Both ends are ours.

Arrays are parts of their own: they are written from where they lie, and read to where they stay, so that a large one is nowhere twice.
"""

from __future__ import annotations

import os
import pickle
import select
import struct
import time
from typing import Any

HEAD = struct.Struct("<Q")
CHUNK = 1 << 20


class Closed(Exception):
    """The other end is gone."""


class Late(Exception):
    """Nothing came before the deadline."""


def send(descriptor: int, message: Any) -> None:
    """Raises Closed."""
    arrays: list[pickle.PickleBuffer] = []
    data = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    parts = [memoryview(data), *(array.raw() for array in arrays)]
    lengths = struct.pack(f"<{len(parts) + 1}Q", len(parts), *(part.nbytes for part in parts))
    try:
        for view in (memoryview(lengths), *parts):
            while view:
                view = view[os.write(descriptor, view[:CHUNK]) :]
    except BrokenPipeError:
        raise Closed from None


def receive(descriptor: int, seconds: float | None = None) -> Any:
    """The next message. Raises Closed, and Late where it is not complete within `seconds`."""
    end = None if seconds is None else time.monotonic() + seconds
    (count,) = HEAD.unpack(_exactly(descriptor, HEAD.size, end))
    lengths = struct.unpack(f"<{count}Q", _exactly(descriptor, count * HEAD.size, end))
    data, *arrays = [_exactly(descriptor, length, end) for length in lengths]
    return pickle.loads(data, buffers=arrays)


def _exactly(descriptor: int, length: int, end: float | None) -> bytearray:
    whole = bytearray(length)
    left = memoryview(whole)
    while left:
        if end is not None:
            ready, _, _ = select.select([descriptor], [], [], max(end - time.monotonic(), 0.0))
            if not ready:
                raise Late
        count = os.readv(descriptor, [left[:CHUNK]])
        if not count:
            raise Closed
        left = left[count:]
    return whole
