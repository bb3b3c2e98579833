"""Messages between a process and its child: pickled, each after its length. Both ends are ours."""

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
    data = pickle.dumps(message, protocol=5)
    try:
        for view in (memoryview(HEAD.pack(len(data))), memoryview(data)):  # joined, a large message would be there twice
            while view:
                view = view[os.write(descriptor, view[:CHUNK]) :]
    except BrokenPipeError:
        raise Closed from None


def receive(descriptor: int, seconds: float | None = None) -> Any:
    """The next message. Raises Closed, and Late where it is not complete within `seconds`."""
    end = None if seconds is None else time.monotonic() + seconds
    (length,) = HEAD.unpack(_exactly(descriptor, HEAD.size, end))
    return pickle.loads(_exactly(descriptor, length, end))


def _exactly(descriptor: int, length: int, end: float | None) -> bytearray:
    parts = bytearray()
    while len(parts) < length:
        if end is not None:
            ready, _, _ = select.select([descriptor], [], [], max(end - time.monotonic(), 0.0))
            if not ready:
                raise Late
        piece = os.read(descriptor, min(CHUNK, length - len(parts)))
        if not piece:
            raise Closed
        parts += piece
    return parts
