"""A process and those that it started: the memory that they hold, and their end. Without /proc only the process itself is known."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
SUBREAPER, DEATH_SIGNAL = 36, 1
"""PR_SET_CHILD_SUBREAPER and PR_SET_PDEATHSIG of Linux."""
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
    """Kills it with all that it started, and waits until they are gone."""
    adopt()
    for one in (process, *descendants(process)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)


def reap() -> None:
    """Waits for what was killed and has no other parent any more: nothing stays as a zombie."""
    end = time.monotonic() + REAPING
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < end:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)


def adopt() -> None:
    """From now on this process is the parent of those whose parent ends, below it."""
    _control(SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """The system kills this process when the one that started it is gone."""
    _control(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _control(option: int, value: int) -> None:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
