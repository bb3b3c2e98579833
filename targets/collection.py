"""Reading a .hw file, or planning a model, makes objects that nearly all stay; looking among them for garbage takes up to as long as making
them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """No search for cycles of garbage in the block; for blocks that make no more of it than the size of a file or model bounds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
