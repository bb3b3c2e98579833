"""What loading freed goes back to the operating system: glibc keeps it, and a process would hold its convolutions' weights twice.

onnxruntime makes its own form of weights while it loads them, and frees what it made it from. glibc keeps freed blocks of up to 32 MiB for
later; the arena in which onnxruntime computes never asks for them. ResNet-18 loaded: 92 MiB, and 47 after this.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Takes about a millisecond; does nothing where the C library has no malloc_trim, as on macOS and Windows, and with musl."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    import ctypes

    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # TypeError: Windows takes no None
        return None
    found.argtypes, found.restype = [ctypes.c_size_t], ctypes.c_int
    return found
