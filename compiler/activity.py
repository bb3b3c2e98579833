"""What this process does that may crash, hang or take all memory: whoever calls native code on a model says so first.

    with doing("loading segment 0 (cpu)"):
        ...

A command of the command line is watched by another process (compiler/guard), which reads that, ends the command where it takes too much,
and says in a sentence what it was about. In a program that imports autoglmc nobody watches: there `doing` only keeps the time that
the caller allows (`limited`), and ends what is under way with `halt`, where that can be ended.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from types import TracebackType

from .board import STEPS, Board, beat_at
from .errors import UsageError, UserError

SECONDS, SECONDS_PER_BYTE = 60.0, 60e-9
"""What one run, or one load, may take by default: more for a large model."""
MORE_TIME = "if it only needs longer, allow more: --time-limit SECONDS (time_limit in Python)"


class TimeLimit(UserError):
    """Something took more time than it may."""

    kind = "time-limit"


@dataclass(frozen=True, slots=True)
class Limits:
    """seconds: of one run of a model, one load or one evaluation; memory: bytes of a process. None for the default."""

    seconds: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what is no positive number of seconds."""
        given = self.seconds
        if given is not None and not (isinstance(given, (int, float)) and 0 < given < math.inf):
            raise UsageError(f"time_limit is a positive number of seconds, not {given!r}")


def default_seconds(size: int) -> float:
    """For one thing that is done with a model of so many bytes."""
    return round(SECONDS + SECONDS_PER_BYTE * size)


NO_LIMITS = Limits()


class _Process:
    """Of this process: the board that another one reads, if there is one."""

    board: Board | None = None
    lasting: str | None = None
    """A folder for temporary files that stay."""


_limits: ContextVar[Limits] = ContextVar("limits", default=NO_LIMITS)


def limits() -> Limits:
    """What was asked for, here."""
    return _limits.get()


def watched(board: Board, lasting: str) -> None:
    """From now on another process reads `board`, and removes this one's temporary files; those of the folder `lasting` stay."""
    _Process.board, _Process.lasting = board, lasting


def lasting_folder() -> str | None:
    """Where to write a temporary file that is to stay; None for the usual place."""
    return _Process.lasting


def unwatched_seconds() -> float | None:
    """What the caller of the Python API allows for one thing; None for any time, and where another process keeps the time."""
    return limits().seconds if _Process.board is None else None


@contextmanager
def limited(asked: Limits) -> Iterator[None]:
    """Inside, these hold; what is None stays as it was."""
    before = limits()
    token = _limits.set(Limits(asked.seconds or before.seconds, asked.memory or before.memory))
    _show_limits()
    try:
        yield
    finally:
        _limits.reset(token)
        _show_limits()


def _show_limits() -> None:
    if _Process.board is not None:
        _Process.board.limit(limits().seconds or 0.0, limits().memory or 0)


_LINES = count(1)
LINE_STEPS = 24
"""Bits that count what one line says; those above count lines, so that what follows on a line of the board is something new."""


class Line:
    """A line of the board. `numbers[at] = value` says that something new began, 0 that it ended; the low bits of the value are the number
    of a label, from 1. Where nobody watches, the numbers are a list that nobody reads."""

    __slots__ = ("_begun", "_board", "_line", "at", "numbers", "text")

    def __init__(self, text: str, labels: Sequence[str] = (), size: int = 0) -> None:
        self.text, self._begun, self._board = text, next(_LINES) << LINE_STEPS + STEPS, _Process.board
        self._line = None if self._board is None else self._board.claim(text, labels, size)
        self.numbers: memoryview[int] | list[int] = [0]
        self.at = 0
        if self._board is not None and self._line is not None:
            self.numbers, self.at = self._board.numbers, beat_at(self._line)

    def next(self) -> int:
        """The number of something new, about the first label; that plus k is about the label k."""
        self._begun += 1 << STEPS
        return self._begun + 1

    def begin(self) -> None:
        """Something new, about no label."""
        self._begun += 1 << STEPS
        self.numbers[self.at] = self._begun

    def release(self) -> None:
        """Gives the line back."""
        if self._board is not None and self._line is not None:
            self._board.release(self._line)
        self._line, self.numbers, self.at = None, [0], 0

    def __del__(self) -> None:
        self.release()


class doing:
    """In `with`: what is done inside. Raises TimeLimit where it takes more time than it may and can be halted, and, where nobody watches,
    where it took more than the caller allows.

    halt: called with True from another thread to end it early, and with False afterwards. size: bytes of the model."""

    __slots__ = ("_alarm", "_halt", "_line", "_size", "_text")

    def __init__(self, text: str, *, size: int = 0, halt: Callable[[bool], object] | None = None) -> None:
        self._text, self._size, self._halt = text, size, halt
        self._line = Line(text, (), size)
        self._alarm: _Alarm | None = None

    def __enter__(self) -> None:
        watched = _Process.board is not None
        seconds = limits().seconds or (default_seconds(self._size) if watched else None)
        if seconds is not None and (self._halt is not None or not watched):
            self._alarm = _Alarm(seconds, self._halt)
        self._line.begin()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._line.release()
        if self._alarm is not None and self._alarm.went_off() and (kind is None or issubclass(kind, Exception)):
            raise TimeLimit(f"{self._text} took more than {self._alarm.seconds:g} s", help=MORE_TIME) from problem


class _Alarm:
    """Ends what is under way after so many seconds."""

    def __init__(self, seconds: float, halt: Callable[[bool], object] | None) -> None:
        self.seconds, self._halt, self._late = seconds, halt, False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        with self._lock:
            self._late = True
            if self._halt is not None:
                self._halt(True)

    def went_off(self) -> bool:
        """Whether it did; it does not any more."""
        self._timer.cancel()
        with self._lock:
            late, halt = self._late, self._halt
            if late and halt is not None:
                halt(False)
            self._halt = None
            return late


@contextmanager
def half_written(path: str) -> Iterator[None]:
    """A file or folder that is to be removed if this process is killed inside the block."""
    board = _Process.board
    number = None if board is None else board.keep(path)
    try:
        yield
    finally:
        if board is not None and number is not None:
            board.forget(number)
