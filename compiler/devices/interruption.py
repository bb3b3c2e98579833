"""Ctrl-C and SIGTERM end a run at once and cleanly, even while onnxruntime computes.

Python sees a signal only between its own instructions, so a model that loops for hours would hold it up for as long. The operating
system's handler also writes the signal into a pipe; a thread that waits there tells onnxruntime to stop.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

STOP = frozenset({signal.SIGINT, signal.SIGTERM})
NO_CAPTURE = ("gpu_graph_id", "-1")
"""Sessions here capture no graphs. Where the options do not say so, onnxruntime's Python finds out in every run by an exception that it
catches: 24 us, ten times what a run costs otherwise (1.32, benchmarks/session_overhead.py)."""


@cache
def run_options() -> Any:
    """The onnxruntime.RunOptions of the runs that nothing else stops: setting `terminate` stops whichever is under way."""
    return new_run_options()


def new_run_options() -> Any:
    """onnxruntime.RunOptions of a caller who wants to stop its own runs; Ctrl-C stops them too."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry(*NO_CAPTURE)
    with _guard:
        _known.add(options)
    return options


def halting(options: Any) -> Callable[[bool], None]:
    """Ends runs under these options from another thread, and lets them run again."""

    def halt(stop: bool) -> None:
        options.terminate = stop

    return halt


_known: weakref.WeakSet[Any] = weakref.WeakSet()
"""Signals reach a process, not an object, so whoever runs a model is listed here."""
_guard = threading.Lock()


def _terminate(stop: bool) -> None:
    with _guard:
        for options in _known:
            options.terminate = stop


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, SIGTERM is like Ctrl-C, half-written folders are removed on the way out, and both reach a running model."""
    if threading.current_thread() is not threading.main_thread():  # the host program owns the signals
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _watched():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _watched() -> Iterator[None]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        watcher.join()
        os.close(reader)
        _terminate(False)


def _watch(reader: int) -> None:
    """Until the other end is closed."""
    while numbers := os.read(reader, 64):
        if not STOP.isdisjoint(numbers):
            _terminate(True)
