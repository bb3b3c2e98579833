"""The sessions that `Bundle.run` uses again: loading a bundle takes longer than running it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from .outputs import Outputs
    from .session import Session


class KeptSessions:
    """One with and one without devices emulated, each made when it is first needed. A copy starts without any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[bool, int], Session] = {}

    def __reduce__(self) -> tuple[type[KeptSessions], tuple[()]]:
        return KeptSessions, ()

    def run(self, emulate: bool, made: Callable[[], Session], inputs: Mapping[str, Any], time_limit: float | None) -> Outputs:
        """One request. A session that failed is not used again."""
        key = emulate, os.getpid()  # a forked process has the session, but not the threads of its runtimes
        with self._lock:
            session = self._made.get(key)
            if session is None:
                session = self._made[key] = made()
        try:
            return session.run(inputs, time_limit=time_limit)
        except UsageError:
            raise
        except BaseException:
            with self._lock:
                self._made.pop(key, None)
            raise
