"""Keeps C code of libraries from writing to stdout or stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silenced(descriptor: int) -> Iterator[None]:
    """What is written to the file descriptor inside goes nowhere; Python's own buffer of it is written out first."""
    stream = sys.stdout if descriptor == 1 else sys.stderr
    stream.flush()
    kept, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        stream.flush()  # what Python was given inside, an extension's traceback among it
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nowhere)
