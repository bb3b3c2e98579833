"""What LiteRT's own profiler reports of a run: one event for each operator, XNNPACK's among them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .compiled import Compiled

OPERATOR, DELEGATED = 2, 8
"""`tflite::Profiler::EventType`: an operator of LiteRT's own kernels, and one of XNNPACK's."""


@dataclass(frozen=True, slots=True)
class Event:
    """One operator in one run."""

    kind: str
    """LiteRT's name of its own ("CONV_2D"), or XNNPACK's ("Convolution (NHWC, F32) IGEMM")."""
    delegated: bool
    """To XNNPACK."""
    index: int
    """Of the operator in the file; of XNNPACK's, the number within what it runs in one go."""
    microseconds: int
    """Cut to a whole number."""


class _Event(ctypes.Structure):
    """`ProfiledEventData` of litert/c/litert_common.h; the memory is `MemoryUsage` before and behind."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("begin", ctypes.c_uint64),
        ("elapsed", ctypes.c_uint64),
        ("memory", ctypes.c_uint64 * 6),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    )


class Profiler:
    """Of a model that was compiled with `Options(profiling=True)`."""

    def __init__(self, model: Compiled) -> None:
        self._library, self._handle = model.library, model.library.made("LiteRtCompiledModelGetProfiler", model.handle)

    def events(self, run: Callable[[], object]) -> tuple[Event, ...]:
        """Those of one run, in the order in which the operators ran."""
        self._library.call("LiteRtResetProfiler", self._handle)
        self._library.call("LiteRtStartProfiler", self._handle)
        try:
            run()
        finally:
            self._library.call("LiteRtStopProfiler", self._handle)
        return tuple(self._read())

    def _read(self) -> Iterator[Event]:
        count = ctypes.c_int()
        self._library.call("LiteRtGetNumProfilerEvents", self._handle, ctypes.byref(count))
        found = (_Event * max(1, count.value))()
        if count.value:
            self._library.call("LiteRtGetProfilerEvents", self._handle, count.value, found)
        for one in found[: count.value]:
            if one.type in (OPERATOR, DELEGATED):
                yield Event((one.tag or b"").decode(errors="replace"), one.type == DELEGATED, one.metadata[0], one.elapsed)
