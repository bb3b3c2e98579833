"""Memory for an arena: of this process alone, or behind a file descriptor that other processes map too."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
import tempfile
import weakref

from ..errors import BundleError


class ArenaMemory:
    """`total` bytes from `base` on, zeroed when made, alive as long as this object and what it was handed to.

    shared: behind a descriptor, `fd`, which another process may map (inherited, sent over a socket, or /proc/PID/fd).
    fd: map this descriptor of another process's arena; it is duplicated, the caller's stays the caller's.
    Raises BundleError where the memory cannot be mapped, or the descriptor holds less than the arena.
    """

    def __init__(self, total: int, align: int, *, shared: bool = False, fd: int | None = None) -> None:
        self.fd: int | None = None
        if shared or fd is not None:
            if align > mmap.PAGESIZE:  # processes map at multiples of a page: offsets beyond that would differ between them
                raise BundleError(f"an arena aligned to {align} bytes cannot be shared: pages have {mmap.PAGESIZE}")
            self.fd = _created(_pages(total)) if fd is None else _checked(fd, _pages(total))
            weakref.finalize(self, os.close, self.fd)
        size = _pages(total if self.fd is not None else max(total, 1) + align)
        try:
            self._map = mmap.mmap(-1 if self.fd is None else self.fd, size)
        except (OSError, ValueError, OverflowError) as error:
            raise BundleError(f"the arena's {total} bytes cannot be mapped: {error}") from None
        self._begin = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self.base = -(-self._begin // align) * align

    def give_back(self, offset: int) -> None:
        """The system takes the pages from `offset` on, which are zeros when they are next read. Where it cannot, they stay."""
        kind = getattr(mmap, "MADV_REMOVE", None)  # of memory that may be shared, which this is: MADV_DONTNEED would keep the pages
        first = _pages(self.base + offset - self._begin) if offset else 0
        if kind is None or first >= len(self._map):
            return
        with contextlib.suppress(OSError):
            self._map.madvise(kind, first, len(self._map) - first)


def _pages(size: int) -> int:
    return -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE


def _checked(fd: int, size: int) -> int:
    try:
        found = os.fstat(fd).st_size
        if found < size:
            raise BundleError(f"file descriptor {fd} has {found} bytes, the arena takes {size}: it is another bundle's")
        return os.dup(fd)
    except OSError as error:
        raise BundleError(f"file descriptor {fd} cannot be mapped as the arena: {error.strerror}") from None


def _created(size: int) -> int:
    try:
        if sys.platform == "linux":
            return _sealed(size)
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
        os.ftruncate(fd, size)
        return fd
    except (OSError, OverflowError) as error:
        raise BundleError(f"no shared memory of {size} bytes: {error}") from None


def _sealed(size: int) -> int:
    """Sealed: a process that shortened the file would end all others at their next access (SIGBUS)."""
    import fcntl

    fd = os.memfd_create("autoglmc-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd
