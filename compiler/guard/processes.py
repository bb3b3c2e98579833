"""A process and those that it started: the memory that they hold, and their end. Without /proc only the process itself is known."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""
REAPING = 1.0
"""Seconds to wait for killed processes to be gone."""


def own_memory(process: int) -> int:
    """Bytes in memory that are not pages of files: what it holds, as opposed to the weights that it maps. 0 for one that is gone."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{process}/statm", encoding="ascii") as facts:
        words = facts.read().split()
        return PAGE * (int(words[1]) - int(words[2]))
    return 0


def descendants(process: int) -> list[int]:
    """Processes that it started, and those that these started."""
    found: list[int] = []
    for parent in _growing(process, found):
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                with contextlib.suppress(OSError, ValueError), open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as children:
                    found += map(int, children.read().split())
    return found


def _growing(first: int, others: list[int]) -> Iterable[int]:
    """`first`, and what `others` gets meanwhile."""
    yield first
    yield from others


def end_all(process: int) -> None:
    """Kills it with all that it started."""
    kill((process, *descendants(process)))


def kill(processes: Iterable[int]) -> None:
    for one in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)


def reap(others: frozenset[int]) -> None:
    """Kills what a process that ended left to this one (see `adopt`), but for `others`, and waits for it: nothing stays, not even as a
    zombie."""
    end = time.monotonic() + REAPING
    while time.monotonic() < end and (left := set(descendants(os.getpid())) - others):
        kill(left)
        for one in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(one, os.WNOHANG)
        time.sleep(0.002)


def adopt() -> None:
    """From now on this process is the parent of those whose parent ends, below it."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
