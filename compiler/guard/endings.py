"""What is said of a command that did not end by itself."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence

from ..activity import MORE_TIME
from ..board import Seen
from ..errors import UserError
from ..quantities import size

SAID = 300
"""Characters that are repeated of what a library wrote before it died."""


class Killed(UserError):
    """The command was ended, or ended by a crash."""

    kind = "process"


def too_late(one: Seen, seconds: float) -> Killed:
    return Killed(f"{one.text} took more than {seconds:g} s", help=MORE_TIME)


def too_large(seen: Sequence[Seen], memory: int) -> Killed:
    help = "if it only needs more, and the machine has it, allow more: --memory-limit SIZE"
    return Killed(f"{_subject(seen)} took more than {size(memory)} of memory", help=help)


def crashed(seen: Sequence[Seen], status: int, said: str) -> Killed:
    """status: the signal that ended the process."""
    name = str(status)
    with contextlib.suppress(ValueError):
        name = signal.Signals(status).name
    if status == signal.SIGKILL:
        help = "another program or the system killed it; where memory is short, close other programs"
        return Killed(f"{_subject(seen)} was killed (SIGKILL)", help=help)
    last = f": {said}" if said else ""
    help = "a library crashed, and nothing was written: if the model is valid, please report it with the model"
    return Killed(f"{_subject(seen)} ended the process ({name}){last}", help=help)


def last_words(text: str) -> str:
    """The last line that says something; of several a program's own abort message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("what():")] or lines[-1:]
    return telling[-1].removeprefix("what():").strip()[:SAID] if telling else ""


def _subject(seen: Sequence[Seen]) -> str:
    """What was under way, or the command itself."""
    return max(seen, key=lambda one: one.beat).text if seen else "the command"
