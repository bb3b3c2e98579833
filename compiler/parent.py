"""A process that another one of ours started ends when that one is gone, whatever either is doing."""

from __future__ import annotations

import contextlib
import os
import signal

DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux; elsewhere a worker ends when it next reads what its parent closed."""


def end_with_parent(parent: int | None = None) -> None:
    """The system kills this process when the one that started it ends, even by a crash. parent: its number, where it is known, since it may
    have ended by now."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
