"""What one command line has done so far, for the message if it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ....targets.model import Target
    from ...report.progress import Progress


@dataclass(slots=True)
class Invocation:
    target: Target | None = None
    """The target that the command read, whose lines an error may name."""
    kept: str = ""
    """What the command has written so far and leaves where it is, a sentence for who interrupts it."""


def read_target(target: str | Path, tell: Progress) -> Target:
    """The target of a .hw file or stock name, its warnings told; an error of the command quotes its lines. Raises as `load_target`."""
    from ...hw.load_target import load_target

    found = load_target(target, warn=tell.warn)
    invocation = _current()
    if invocation is not None:
        invocation.target = found
    return found


def keep(what: str) -> None:
    """Something is written that stays if the command is interrupted from now on."""
    invocation = _current()
    if invocation is not None:
        invocation.kept = what


def _current() -> Invocation | None:
    context = click.get_current_context(silent=True)
    return context.find_object(Invocation) if context is not None else None
