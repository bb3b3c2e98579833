"""One caller at a time."""

from __future__ import annotations

import threading
from types import TracebackType

from ..errors import UsageError


class Turn:
    """In `with`: alone, other threads wait. Raises UsageError where this thread is inside already, as from `observe`: it would wait for
    itself."""

    __slots__ = ("_lock", "_thread")

    def __init__(self) -> None:
        self._lock, self._thread = threading.Lock(), 0

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            if self._thread == threading.get_ident():
                raise UsageError("this session runs already, on this thread", help="use another session inside of `observe`")
            self._lock.acquire()
        self._thread = threading.get_ident()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._thread = 0
        self._lock.release()
