"""What a user says of a decoder's caches: --state 'past.*=present.*' --max-length 1024."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError

FORM = "write --state 'past.*=present.*': inputs = outputs, * being the same in both"


@dataclass(frozen=True, slots=True)
class StateRequest:
    """Caches of a decoder."""

    patterns: tuple[tuple[str, str], ...]
    """Inputs and the outputs that take their place; `*` stands for anything, the same in both."""
    length: int
    """Tokens that the caches hold at most."""


def state_request(patterns: Sequence[str], length: int | None) -> StateRequest | None:
    """From the words of --state and --max-length; None where neither is given. Raises UsageError."""
    if not patterns and length is None:
        return None
    if not patterns or length is None:
        missing, given = ("--state", "--max-length") if not patterns else ("--max-length", "--state")
        raise UsageError(f"{given} needs {missing} beside it", help=FORM if missing == "--state" else "write --max-length 1024: tokens")
    return StateRequest(tuple(_pattern(word) for word in patterns), length)


def _pattern(word: str) -> tuple[str, str]:
    past, equals, present = (part.strip() for part in word.partition("="))
    if not equals or not past or not present or past.count("*") > 1 or past.count("*") != present.count("*"):
        raise UsageError(f"cannot read --state '{word}'", help=FORM)
    return past, present
