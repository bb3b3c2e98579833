"""Work that is counted, so that a test of "it ends soon" holds on any machine: function calls, not seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooMuchWork(BaseException):
    """More calls than a test allows; raised in the middle of the work, so that what would not end does. No `except Exception` stops it."""


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Fails once the block has made more calls of functions, Python's and C's, in this thread."""
    made = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        if event in ("call", "c_call"):
            made += 1
            if made > calls:
                sys.setprofile(None)
                raise TooMuchWork(f"more than {calls:,} calls")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
    if made > calls:  # somebody caught it
        raise TooMuchWork(f"{made:,} calls, {calls:,} allowed")


def calls_of(work: Callable[[], object]) -> int:
    """How many calls of functions, Python's and C's, the work makes in this thread."""
    made = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return made
