"""Child processes that evaluate models. Starting one takes longer than most small models do, so one that is done waits for the next."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import threading
from typing import Any

from ..frames import receive, send
from ..own_python import PYTHON

COMMAND = (*PYTHON, "-m", "autoglmc.compiler.reference.worker")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Half of the cores for numpy's products: on a busy machine threads that wait for each other take longer than one."""
LARGEST = 1 << 30
"""Bytes of memory beyond which a child is not kept: it may have been left with a large model's."""


class Child:
    """One process and its two pipes."""

    def __init__(self) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}
        threads = {name: str(max((os.cpu_count() or 1) // 2, 1)) for name in THREADS}
        self._process = subprocess.Popen(COMMAND, env=threads | dict(os.environ), **pipes)

    def exchange(self, message: Any, seconds: float) -> Any:
        """What it answers. Raises Closed where it died, Late where it takes more time."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        send(stdin.fileno(), message)
        return receive(stdout.fileno(), seconds)

    def end(self) -> None:
        """Kills it, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def fit(self) -> bool:
        """Whether it lives, and holds not too much memory."""
        if self._process.poll() is not None:
            return False
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{self._process.pid}/statm", encoding="ascii") as facts:
            return int(facts.read().split()[1]) * 4096 < LARGEST
        return False

    def death(self) -> str:
        """How it died, in words."""
        code = self._process.wait()
        if code >= 0:
            return f"ended with code {code}"
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else ": onnxruntime crashed")
        return f"was killed by signal {-code}"


class _Waiting:
    """At most one idle child of this process."""

    def __init__(self) -> None:
        self._lock, self._idle = threading.Lock(), list[Child]()
        atexit.register(self.end)

    def take(self) -> Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.fit:
                    return child
                child.end()
        return Child()

    def end(self) -> None:
        """At the end of this process: nothing of it stays."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()

    def give(self, child: Child) -> None:
        with self._lock:
            if not self._idle and child.fit:
                self._idle.append(child)
                return
        child.end()


WAITING = _Waiting()
