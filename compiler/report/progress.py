"""Progress on stderr: one live line on a terminal, a line per stage elsewhere, nothing if it is not wanted.

A message is a stage that begins (`recover`). One with an attribute `budget` (`driver/job.py`: Message) also says how much of the
search is left; that stands until another message brings a new one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .printable import printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

FRAMES = "|/-\\"
PER_SECOND = 8
GAP = "  "


class Progress:
    """Called with a message at every stage. This one prints only what the user wants to see (`show`)."""

    def __call__(self, message: str) -> None:
        """A stage begins."""

    def warn(self, text: str) -> None:
        """Something to know besides the result."""

    def show(self, text: str) -> None:
        """What the user asked to see on stderr."""
        print(printable(text, keep="\n\t"), file=sys.stderr, flush=True)


class Lines(Progress):
    """A line per stage; with `timed`, behind the seconds since the start."""

    def __init__(self, timed: bool = False) -> None:
        self._timed, self._start, self._budget = timed, time.monotonic(), ""

    def __call__(self, message: str) -> None:
        budget = getattr(message, "budget", None)
        news = f" ({budget})" if budget and budget != self._budget else ""
        self._budget = self._budget if budget is None else budget
        self.show(f"{self._seconds()}{message}{news}")

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._start:7.2f} s  " if self._timed else ""

    def warn(self, text: str) -> None:
        self.show(text)


class LiveLine(Progress):
    """One line that is drawn anew: stage, seconds since the start, what is left of the search. With `timed`, stages stay above it."""

    def __init__(self, timed: bool = False) -> None:
        self._stage, self._budget, self._start, self._timed = "", "", time.monotonic(), timed
        self._live: Live | None = None

    def __call__(self, message: str) -> None:
        self._budget = getattr(message, "budget", self._budget)
        self._stage = printable(message)
        if self._timed:
            self.show(f"{time.monotonic() - self._start:7.2f} s  {message}")

    def warn(self, text: str) -> None:
        self.show(text)

    def show(self, text: str) -> None:
        """Above the line."""
        if self._live is None:
            super().show(text)
            return
        from rich.text import Text

        self._live.console.print(Text(printable(text, keep="\n\t")), soft_wrap=True)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Draws it until the end of the block, whatever ends it, and leaves no trace of it."""
        from rich.console import Console
        from rich.live import Live

        # stdout is the result's, and may go elsewhere than this terminal
        screen = Console(stderr=True, highlight=False)
        live = Live(get_renderable=self._line, console=screen, transient=True, refresh_per_second=PER_SECOND, redirect_stdout=False)
        with live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def _line(self) -> Text:
        from rich.text import Text

        seconds = time.monotonic() - self._start
        frame = FRAMES[int(seconds * PER_SECOND) % len(FRAMES)]
        parts = [f"{frame} {self._stage}", f"{seconds:.1f} s", *([printable(self._budget)] if self._budget else [])]
        return Text(GAP.join(parts), no_wrap=True, overflow="ellipsis")


@contextmanager
def progress(quiet: bool = False, timed: bool = False, plain: bool = False) -> Iterator[Progress]:
    """What to call with messages. quiet: nothing is printed; plain: never a live line; timed: every stage with its time."""
    if quiet:
        yield Progress()
    elif plain or not _can_redraw():
        yield Lines(timed)
    else:
        line = LiveLine(timed)
        with line.drawn():
            yield line


def _can_redraw() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb").lower() not in ("", "dumb", "unknown")
