"""One caller at a time, as long as a session is open."""

from __future__ import annotations

import threading
from types import TracebackType

from ..errors import UsageError


class Turn:
    """In `with`: alone, other threads wait. Raises UsageError once the session is closed, and where this thread is inside already, as from
    `observe`: it would wait for itself."""

    __slots__ = ("_lock", "_thread", "closed")

    def __init__(self) -> None:
        self._lock, self._thread, self.closed = threading.Lock(), 0, False

    def __enter__(self) -> None:
        self._take()
        if self.closed:
            self._leave()
            self.check_open()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()

    def check_open(self) -> None:
        """Raises UsageError once the session is closed."""
        if self.closed:
            raise UsageError("this session is closed", help="open another one: bundle.session()")

    def close(self) -> bool:
        """Closes the session, once whoever is inside has left; False where it is closed already. Raises UsageError from inside."""
        self._take()
        before, self.closed = self.closed, True
        self._leave()
        return not before

    def _take(self) -> None:
        if not self._lock.acquire(blocking=False):
            if self._thread == threading.get_ident():
                raise UsageError("this session runs already, on this thread", help="use another session inside of `observe`")
            self._lock.acquire()
        self._thread = threading.get_ident()

    def _leave(self) -> None:
        self._thread = 0
        self._lock.release()
