"""What a user says of a decoder's caches, --state 'past.*=present.*' --max-length 1024, or of states, --state 'state=stateN'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError

LONGEST = 1 << 24
"""Tokens that caches may hold at most."""
FORM = "write --state 'past.*=present.*': inputs = outputs, * being the same in both"


@dataclass(frozen=True, slots=True)
class StateRequest:
    """Caches of a decoder, or states."""

    patterns: tuple[tuple[str, str], ...]
    """Inputs and the outputs that take their place; `*` stands for anything, the same in both."""
    length: int | None
    """Tokens that the caches hold at most; None for states that every run replaces as a whole."""
    given: tuple[str, ...] = ()
    """Masks and positions that whoever steps gives, although they could be made: positions of an image's tokens, for example."""
    dtype: str = ""
    """Of the caches, "fp16"; "" for the model's."""


def state_request(patterns: Sequence[str], length: int | None, given: Sequence[str] = (), dtype: str = "") -> StateRequest | None:
    """From the words of --state, --max-length, --given and --cache-dtype; None where none is given. Raises UsageError."""
    if not patterns and length is None and not given and not dtype:
        return None
    if not patterns:
        option = "max-length" if length is not None else "given" if given else "cache-dtype"
        raise UsageError(f"--{option} needs --state beside it", help=FORM)
    if dtype and length is None:
        raise UsageError("--cache-dtype is for caches that grow: it needs --max-length beside it", help="--max-length TOKENS")
    if given and length is None:
        raise UsageError("--given is for caches that grow: it needs --max-length beside it", help="--max-length TOKENS")
    return StateRequest(tuple(_pattern(word) for word in patterns), length, tuple(given), dtype)


def _pattern(word: str) -> tuple[str, str]:
    past, equals, present = (part.strip() for part in word.partition("="))
    if not equals or not past or not present or past.count("*") > 1 or past.count("*") != present.count("*"):
        raise UsageError(f"cannot read --state '{word}'", help=FORM)
    return past, present
