"""Rows made by several processes of this machine. One that dies costs the row that it was at, and another one takes its place."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from queue import SimpleQueue

from ..frames import Closed, receive, send
from ..own_python import PYTHON
from .row import Row
from .task import Task

COMMAND = (*PYTHON, "-m", "autoglmc.compiler.what_if.worker")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
Done = tuple[int, Row]


class Agenda:
    """Tasks that nobody has begun. Whoever asks gets one about the model that it is holding, else about the one with most left."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, deque[tuple[int, Task]]] = {}
        for number, task in enumerate(tasks):
            self._left.setdefault(task.path, deque()).append((number, task))

    def next(self, held: str) -> tuple[int, Task] | None:
        with self._lock:
            mine = self._left.get(held) or max(self._left.values(), key=len, default=None)
            return mine.popleft() if mine else None

    def clear(self) -> None:
        with self._lock:
            self._left.clear()


Call = tuple[Agenda, SimpleQueue[Done]]
"""Tasks to be done, and where rows go."""


class Worker:
    """One process, started when it is first asked."""

    def __init__(self, threads: int) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._threads = threads
        self._over = False
        self.held = ""
        """The model that it planned last."""

    def make(self, task: Task) -> Row:
        process = self._process = self._process or self._started()
        self.held = task.path
        assert process.stdin is not None and process.stdout is not None
        try:
            send(process.stdin.fileno(), task)
            row = receive(process.stdout.fileno())
            assert isinstance(row, Row)
            return row
        except (Closed, OSError, ValueError):  # ValueError: a pipe that `end` closed
            self._process, self.held = None, ""
            return replace(task.row, error=f"the process that planned it {_death(process.wait())}")

    def end(self) -> None:
        """Kills it, whatever it does."""
        self._over = True
        if (process := self._process) is not None:
            process.kill()
            process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._over:
            raise Closed
        environment = {name: str(self._threads) for name in THREADS} | dict(os.environ)
        return subprocess.Popen(
            COMMAND, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )


def _death(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


class Crew:
    """So many processes, which stay for the next tasks until the `with` block ends.

    Each has a thread for as long: a process is killed by the system when the thread that started it ends (`parent.py`)."""

    def __init__(self, jobs: int) -> None:
        self._workers = [Worker(max((os.cpu_count() or 1) // jobs, 1)) for _ in range(jobs)]
        self._calls: list[SimpleQueue[Call | None]] = [SimpleQueue() for _ in self._workers]
        for worker, calls in zip(self._workers, self._calls, strict=True):
            threading.Thread(target=_work, args=(worker, calls), daemon=True).start()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *failure: object) -> None:
        for worker, calls in zip(self._workers, self._calls, strict=True):
            worker.end()
            calls.put(None)

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """As `sweep.Make` says."""
        agenda, done = Agenda(tasks), SimpleQueue[Done]()
        for calls in self._calls[: len(tasks)]:
            calls.put((agenda, done))
        try:
            for _ in tasks:
                yield done.get()
        finally:
            agenda.clear()


def _work(worker: Worker, calls: SimpleQueue[Call | None]) -> None:
    with contextlib.suppress(Closed):  # the crew was sent home
        while (call := calls.get()) is not None:
            agenda, done = call
            while (found := agenda.next(worker.held)) is not None:
                number, task = found
                done.put((number, worker.make(task)))
