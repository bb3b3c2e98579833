"""Requests that overlap: a thread per lane (device), each taking the earliest step that is ready.

A step is ready when the steps it needs or waits for are done in its own request. A request begins when its generation of the arena is
free: request r uses generation r mod G, so at most G requests are under way and no queue is longer than G times a lane's steps. The
earliest unfinished step never waits for a later one, so there is no deadlock.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from time import perf_counter
from typing import Any, Protocol, TypeVar

from ..errors import BundleError, UserError
from .outputs import Spans

GRACE = 5.0
"""Seconds that threads get to end after their runs were stopped."""
T = TypeVar("T", covariant=True)


class StepFailed(BundleError):
    """step: index in the schedule; request: its number, from 0; segment: None for a copy."""

    kind = "step"

    def __init__(self, why: str, *, step: int, request: int, what: str, segment: int | None, device: str) -> None:
        super().__init__(f"request {request}, step {step}, {what}: {why}")
        self.step, self.request, self.segment, self.device = step, request, segment, device

    def abandoned(self, threads: Sequence[str]) -> None:
        """Threads whose runtime could not be stopped still write to the arena: the session must not be used again."""
        self.help = f"its runtime could not be stopped ({', '.join(threads)}): end this process and load the bundle in a new one"


def reason_of(error: BaseException) -> str:
    """The message of an exception: a runtime's with its type, one of ours without its location."""
    return error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True)
class Task:
    """One step: who runs it, and the earlier steps that must be done."""

    lane: str
    after: tuple[int, ...]


class Steps:
    """The steps of one request and who follows whom."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        self.tasks = tasks
        self.lanes = tuple(dict.fromkeys(task.lane for task in tasks))
        self.before = tuple(len(set(task.after)) for task in tasks)
        followers: list[list[int]] = [[] for _ in tasks]
        for index, task in enumerate(tasks):
            for earlier in set(task.after):
                followers[earlier].append(index)
        self.followers = tuple(map(tuple, followers))


class Requests(Protocol[T]):
    """What is run: `place` and `take` are called by the thread that asks, `run` by a lane's."""

    def place(self, generation: int, request: int) -> dict[str, Any]: ...
    def run(self, generation: int, step: int, named: dict[str, Any]) -> None: ...
    def take(self, generation: int, named: dict[str, Any], spans: Spans) -> T: ...
    def halt(self, stop: bool) -> None: ...
    def abandoned(self) -> None: ...
    def failed(self, step: int, request: int, why: str) -> StepFailed: ...


@dataclass(slots=True)
class _Lane:
    wake: threading.Condition
    ready: list[tuple[int, int]] = field(default_factory=list)
    """A heap of (request, step): earlier requests first, since their generation is waited for."""
    busy: tuple[int, int, float] | None = None
    """Request, step and when it began."""


@dataclass(slots=True)
class _Request:
    generation: int
    named: dict[str, Any]
    missing: list[int]
    """Per step, how many it still waits for."""
    spans: list[tuple[float, float]]
    left: int


class Overlap:
    """One use: `finish` starts the threads and ends them, whatever happens."""

    def __init__(self, steps: Steps, requests: Requests[T], generations: int, step_limit: float | None) -> None:
        self._steps, self._requests, self._generations, self._limit = steps, requests, generations, step_limit
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._lanes = {name: _Lane(threading.Condition(self._lock)) for name in steps.lanes}
        self._running: dict[int, _Request] = {}
        self._done: list[int] = []
        self._failure: StepFailed | None = None
        self._stop = False

    def finish(self, count: int) -> list[Any]:
        """What `take` made of every request. Raises StepFailed for the first step that fails; Ctrl-C and what `place` raises pass."""
        threads = [threading.Thread(target=self._work, args=(name,), name=f"autoglmc {name}", daemon=True) for name in self._lanes]
        for thread in threads:
            thread.start()
        try:
            return self._conduct(count)
        finally:
            self._end(threads)

    def _conduct(self, count: int) -> list[Any]:
        results: dict[int, Any] = {}
        free, following = list(range(self._generations)), 0
        while len(results) < count:
            while free and following < count:
                generation = free.pop(0)
                self._admit(following, generation, self._requests.place(generation, following))
                following += 1
            for request in self._finished():
                run = self._running.pop(request)
                results[request] = self._requests.take(run.generation, run.named, tuple(run.spans))
                free.append(run.generation)
        return [results[k] for k in range(count)]

    def _admit(self, request: int, generation: int, named: dict[str, Any]) -> None:
        tasks, missing = self._steps.tasks, list(self._steps.before)
        with self._lock:
            self._running[request] = _Request(generation, named, missing, [(0.0, 0.0)] * len(tasks), len(tasks))
            for step, count in enumerate(missing):
                if not count:
                    self._enqueue(request, step)
            if not tasks:
                self._done.append(request)

    def _enqueue(self, request: int, step: int) -> None:
        lane = self._lanes[self._steps.tasks[step].lane]
        heappush(lane.ready, (request, step))
        lane.wake.notify()

    def _finished(self) -> list[int]:
        """Waits for requests that are done; raises what failed, or the step that takes too long."""
        with self._lock:
            while not self._done and self._failure is None:
                self._news.wait(self._patience())
                self._check_limit()
            if self._failure is not None:
                raise self._failure
            done, self._done = self._done, []
            return done

    def _patience(self) -> float | None:
        """Seconds until a step under way would be over the limit."""
        if self._limit is None:
            return None
        begun = [lane.busy[2] for lane in self._lanes.values() if lane.busy is not None]
        return max(min(begun, default=perf_counter()) + self._limit - perf_counter(), 0.0) + 1e-3

    def _check_limit(self) -> None:
        for lane in self._lanes.values():
            if self._limit is not None and lane.busy is not None and perf_counter() - lane.busy[2] > self._limit and self._failure is None:
                request, step, _ = lane.busy
                self._failure = self._requests.failed(step, request, f"it did not end within the step limit of {self._limit:g} s")

    def _work(self, name: str) -> None:
        lane = self._lanes[name]
        while (found := self._next(lane)) is not None:
            request, step, generation, run, begin = found
            try:
                self._requests.run(generation, step, run.named)
            except BaseException as error:  # runtimes raise types of their own; the asking thread tells the user
                self._fail(lane, request, step, error)
                return
            self._ended(lane, run, request, step, begin)

    def _next(self, lane: _Lane) -> tuple[int, int, int, _Request, float] | None:
        with self._lock:
            while not lane.ready and not self._stop:
                lane.wake.wait()
            if self._stop:
                return None
            request, step = heappop(lane.ready)
            run, begin = self._running[request], perf_counter()
            lane.busy = (request, step, begin)
            return request, step, run.generation, run, begin

    def _ended(self, lane: _Lane, run: _Request, request: int, step: int, begin: float) -> None:
        with self._lock:
            run.spans[step] = (begin, perf_counter())
            lane.busy = None
            run.left -= 1
            for later in self._steps.followers[step]:
                run.missing[later] -= 1
                if not run.missing[later]:
                    self._enqueue(request, later)
            if not run.left:
                self._done.append(request)
                self._news.notify()

    def _fail(self, lane: _Lane, request: int, step: int, error: BaseException) -> None:
        failure = self._requests.failed(step, request, reason_of(error))
        failure.__cause__ = error
        with self._lock:
            lane.busy = None
            self._failure = self._failure or failure
            self._news.notify()

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        """Stops the lanes; runs under way are stopped where the runtime can be."""
        with self._lock:
            self._stop = True
            busy = any(lane.busy is not None for lane in self._lanes.values())
            for lane in self._lanes.values():
                lane.wake.notify()
        if busy:
            self._requests.halt(True)
        last = perf_counter() + GRACE
        for thread in threads:
            thread.join(max(last - perf_counter(), 0.0))
        left = [thread.name for thread in threads if thread.is_alive()]
        if busy and not left:
            self._requests.halt(False)
        if left:
            self._requests.abandoned()
        if left and self._failure is not None:
            self._failure.abandoned(left)
