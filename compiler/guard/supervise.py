"""A command in a process of its own, watched by this one: a crash, a hang or too much memory in there ends that process alone, and becomes
one sentence. Nothing half-written stays, and no process.

The process is forked before anything heavy is imported, so that this costs a few milliseconds, and has what the command has: the
terminal, the streams, the arguments. Ctrl-C and SIGTERM are passed on once; what does not end within GRACE is killed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from ..activity import watched
from ..board import Board
from ..errors import UserError
from ..parent import end_with_parent
from .scratch import Scratch
from .watch import Watch

Tell = Callable[[UserError | None], int]
"""Prints what happened, None for an interruption, and returns the exit code."""
STOP = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


def supervised(command: Callable[[], int], tell: Tell) -> int:
    """The exit code of `command`, run in a child process; where that cannot be had, run here."""
    if not hasattr(os, "fork") or sys.platform == "darwin" or threading.active_count() > 1:
        return command()  # macOS: its frameworks do not survive a fork
    board, scratch, parent = Board(), Scratch(), os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP, signal.SIGCHLD})
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # the collector would touch, and so copy, every page that both have
    try:
        child = os.fork()
    except OSError:  # no process to be had
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        scratch.remove()
        return command()
    if child:
        ending = Watch(child, board, scratch).until_the_end()
        if isinstance(ending, int):
            os._exit(ending)  # the child has written everything; taking this interpreter down takes longer than all that it did
        return tell(ending)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the parent passes on what counts
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    end_with_parent(parent)
    scratch.use()
    watched(board, scratch.outside)
    sys.stderr = _beside(scratch.noise)
    return command()


def _beside(noise: int | None) -> TextIO:
    """Python's stderr, while what libraries write to the file descriptor goes into `noise`."""
    if noise is None:
        return sys.stderr
    with contextlib.suppress(OSError, ValueError):
        kept = os.dup(2)
        os.dup2(noise, 2)
        return open(kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    return sys.stderr
