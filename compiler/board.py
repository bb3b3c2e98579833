"""Memory that a command shares with the process that watches it (compiler/guard): what is done, its limits, what to remove afterwards.

It is read when the command has crashed or hangs, so it is plain bytes at fixed places: nothing in it needs the command's help.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Sequence
from dataclasses import dataclass

LINES, PATHS = 32, 32
"""Things under way at a time, and files or folders that are half-written at a time."""
TEXT, LABELS, PATH = 1 << 10, 1 << 14, 1 << 13
STEPS = 16
"""Bits of a beat that say which label it is about; the others count."""
_HEAD = 4
_NUMBERS = _HEAD + 2 * LINES
_WIDTHS = (*[TEXT] * LINES, *[LABELS] * LINES, *[PATH] * PATHS)
SIZE = 8 * _NUMBERS + sum(_WIDTHS)


@dataclass(frozen=True, slots=True)
class Seen:
    """A line of the board as the watching process reads it."""

    line: int
    beat: int
    """Another number whenever something new began."""
    text: str
    """What is being done: "running the bundle for a16 (segment 0 on cpu)"."""
    size: int
    """Bytes of the model or bundle that it is about."""


class Board:
    """Written by one process, whose threads share the lock; read by another, which takes what it finds."""

    def __init__(self) -> None:
        self._bytes = memoryview(mmap.mmap(-1, SIZE))
        self.numbers = self._bytes[: 8 * _NUMBERS].cast("q")
        """Beats are at `_HEAD + line`; 0 where nothing is done. Written directly, since a run must not wait for it."""
        self._free = list(range(LINES - 1, -1, -1))
        self._unused = list(range(PATHS - 1, -1, -1))
        self._lock = threading.Lock()

    def limit(self, seconds: float, memory: int) -> None:
        """Of one thing that is done, and of the process; 0 for the default."""
        self.numbers[0], self.numbers[1] = int(seconds * 1000), memory

    @property
    def seconds(self) -> float:
        return self.numbers[0] / 1000

    @property
    def memory(self) -> int:
        return self.numbers[1]

    def claim(self, text: str, labels: Sequence[str], size: int) -> int | None:
        """A line, or None where all are taken."""
        with self._lock:
            if not self._free:
                return None
            line = self._free.pop()
        self._write(line, text)
        self._write(LINES + line, "\n".join(labels))
        self.numbers[_HEAD + LINES + line] = size
        return line

    def release(self, line: int) -> None:
        self.numbers[_HEAD + line] = 0
        with self._lock:
            self._free.append(line)

    def keep(self, path: str) -> int | None:
        """Notes something to remove if this process ends without removing it; a number for `forget`."""
        with self._lock:
            if not self._unused or len(path.encode("utf-8", "surrogateescape")) > PATH - 4:
                return None
            number = self._unused.pop()
        self._write(2 * LINES + number, path)
        return number

    def forget(self, number: int) -> None:
        self._write(2 * LINES + number, "")
        with self._lock:
            self._unused.append(number)

    def seen(self) -> list[Seen]:
        """What is under way, by line."""
        found = []
        for line in range(LINES):
            beat = self.numbers[_HEAD + line]
            if beat:
                labels = self._read(LINES + line).split("\n")
                number = beat & ((1 << STEPS) - 1)
                label = labels[number - 1] if 0 < number <= len(labels) else ""
                text = self._read(line) + (f" ({label})" if label else "")
                found.append(Seen(line, beat, text, self.numbers[_HEAD + LINES + line]))
        return found

    def kept(self) -> list[str]:
        """What is to be removed."""
        return [path for number in range(PATHS) if (path := self._read(2 * LINES + number))]

    def _write(self, field: int, text: str) -> None:
        begin, data = _begin(field), text.encode("utf-8", "surrogateescape")[: _WIDTHS[field] - 4]
        self._bytes[begin : begin + 4] = bytes(4)  # never a new length with old bytes
        self._bytes[begin + 4 : begin + 4 + len(data)] = data
        self._bytes[begin : begin + 4] = len(data).to_bytes(4, "little")

    def _read(self, field: int) -> str:
        begin = _begin(field)
        length = min(int.from_bytes(self._bytes[begin : begin + 4], "little"), _WIDTHS[field] - 4)
        return bytes(self._bytes[begin + 4 : begin + 4 + length]).decode("utf-8", "surrogateescape")


def _begin(field: int) -> int:
    return 8 * _NUMBERS + sum(_WIDTHS[:field])


def beat_at(line: int) -> int:
    """Where the beat of a line is in `numbers`."""
    return _HEAD + line
