"""The loop of the process that watches a command."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from types import FrameType

from ..activity import default_seconds
from ..board import Board, Seen
from ..free_memory import allowance
from .endings import Killed, crashed, last_words, too_large, too_late
from .processes import adopt, descendants, end_all, own_memory, reap
from .scratch import Scratch

TICK = 0.1
"""Seconds between two looks."""
FAMILY = 5
"""Ticks between two looks at the processes that the command started."""
PATIENCE = 1.0
"""Seconds beyond its limit that the command gets to end something by itself, so that it can go on."""
GRACE = 1.5
"""Seconds to end by itself after a signal."""


class Watch:
    """Of one child process that runs a command."""

    def __init__(self, child: int, board: Board, scratch: Scratch) -> None:
        self._child, self._board, self._scratch = child, board, scratch
        self._memory = allowance()
        self._others = frozenset(descendants(os.getpid())) - {child}
        self._ages: dict[tuple[int, int], float] = {}
        self._asked: float | None = None
        """When a signal was passed on."""
        self._killed: Killed | None = None
        self._status: int | None = None

    def until_the_end(self) -> int | Killed | None:
        """The exit code; or why there is none, None where a signal ended it."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD})
        adopt()
        try:
            self._look_after(reader)
        finally:
            self._clean()
        return self._ending()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """The first signal asks the command to end, a second one ends it."""
        if self._status is not None:
            return
        if self._asked is not None:
            end_all(self._child)
            return
        self._asked = time.monotonic()
        os.kill(self._child, signal.SIGTERM)

    def _look_after(self, reader: int) -> None:
        ticks, before = 0, time.monotonic()
        while not self._ended():
            if select.select([reader], [], [], TICK)[0]:
                os.read(reader, 512)
            now = time.monotonic()
            if now - before < TICK / 2:
                continue
            ticks += 1
            self._check(min(now - before, 2 * TICK), ticks % FAMILY == 0)  # a longer gap: this process was stopped, as the other was
            before = now

    def _ended(self) -> bool:
        """Whether it did; its parent is to learn that once."""
        found, status = os.waitpid(self._child, os.WNOHANG)
        if found:
            self._status = status
        return bool(found)

    def _check(self, passed: float, family: bool) -> None:
        if self._asked is not None:
            if time.monotonic() - self._asked > GRACE:
                end_all(self._child)
            return
        seen, most = self._board.seen(), self._board.memory or self._memory
        if own_memory(self._child) > most:
            self._end(too_large(seen, most))
        self._ages = {(one.line, one.beat): self._ages.get((one.line, one.beat), 0.0) + passed for one in seen}
        late = [one for one in seen if self._ages[one.line, one.beat] > self._seconds(one) + PATIENCE]
        if late:
            self._end(too_late(late[0], self._seconds(late[0])))
        if family:
            self._scratch.trim()
            self._check_family(most)

    def _check_family(self, most: int) -> None:
        """A process that the command started is ended alone: the command says what became of it."""
        for process in descendants(self._child):
            if own_memory(process) > most:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)

    def _seconds(self, one: Seen) -> float:
        return self._board.seconds or default_seconds(one.size)

    def _end(self, why: Killed) -> None:
        if self._killed is None:
            self._killed = why
            end_all(self._child)

    def _clean(self) -> None:
        """Removes what the command can no more, if it did not end by itself."""
        if self._status is None:
            end_all(self._child)
        reap(self._others)
        if self._status is None or os.WIFSIGNALED(self._status):
            for path in self._board.kept():
                _remove(path)
        self._said = last_words(self._scratch.said())
        self._scratch.remove()

    def _ending(self) -> int | Killed | None:
        assert self._status is not None
        if not os.WIFSIGNALED(self._status):
            return os.waitstatus_to_exitcode(self._status)
        if self._killed is not None or self._asked is not None:
            return self._killed
        return crashed(self._board.seen(), os.WTERMSIG(self._status), self._said)


def _remove(path: str) -> None:
    """A file, a folder with what is in it, or nothing."""
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil

        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
