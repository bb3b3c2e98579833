"""A process that another one of ours started ends when that one is gone, whatever either is doing; and what the other says of its end."""

from __future__ import annotations

import contextlib
import os
import signal

DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux; elsewhere a worker ends when it next reads what its parent closed."""


DEADLY = frozenset(
    int(one) for name in ("ABRT", "BUS", "FPE", "ILL", "KILL", "SEGV", "TERM", "XCPU") if (one := getattr(signal, f"SIG{name}", None))
)


def ending(code: int) -> str:
    """How a process ended, from its return code: "SIGSEGV", "exit code 3". Of a program that started another one, 128 + N (a shell) and
    256 - N (Python's exit of a negative code) are the signal N, where programs die of it: 255 is a program's own exit(-1)."""
    number = -code if code < 0 else 256 - code if code > 192 else code - 128
    if code >= 0 and number not in DEADLY:
        return f"exit code {code}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {-code}"


def end_with_parent(parent: int | None = None) -> None:
    """The system kills this process when the one that started it ends, even by a crash. parent: its number, where it is known, since it may
    have ended by now."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
