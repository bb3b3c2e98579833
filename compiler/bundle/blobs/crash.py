"""A runtime's own compiler that crashed: it gave no answer about the segment, and whatever needed one ends.

A refusal is an answer, and the operators are placed elsewhere. If a crash counted as one, operators that the compiler may well take (in its
next version, or with more memory) would leave their device, and a slower plan would be written without anybody having decided so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ...activity import MORE_TIME
from ...errors import BundleError

if TYPE_CHECKING:
    import onnx

FROM_OUTSIDE = frozenset({"SIGHUP", "SIGINT", "SIGKILL", "SIGTERM"})
"""What no program ends itself with."""
SEGMENT = "segment.onnx"
"""The file in which a segment is saved that is alone."""
Ending = Literal["crashed", "killed", "too slow"]
LONGEST_LINE = 300
"""Characters that a message repeats of a compiler's last line."""


class CompilerCrashed(BundleError):
    """runtime: as the target's line has it, "ethos_u vela 5.2 …"; ending: by itself, or what ended it; output: all that the compiler wrote;
    repro: the folder in which the segments were saved, "" where none were; deny: lines for the device of the target that keep the operators
    off on which it crashes, where they are known."""

    kind = "compiler"

    def __init__(self, message: str, *, help: str = "", runtime: str, ending: Ending = "crashed", output: str = "") -> None:
        super().__init__(message, help=help)
        self.runtime, self.ending, self.repro = runtime, ending, ""
        self.deny: tuple[str, ...] = ()
        self._output = output
        self._segments: Callable[[], Mapping[str, onnx.ModelProto]] = dict

    @property
    def output(self) -> str:
        return self._output

    @property
    def segment(self) -> onnx.ModelProto | None:
        """On which it crashed, with its weights; None where nobody said, and where it crashed on several together."""
        return self.segments.get(SEGMENT)

    @property
    def segments(self) -> Mapping[str, onnx.ModelProto]:
        """On which it crashed, with their weights, by the name of the file to save each in."""
        return self._segments()

    def on(self, where: str, segment: Callable[[], onnx.ModelProto]) -> CompilerCrashed:
        """The same, about that segment; `where`: what a message calls it."""
        return self.together(where, lambda: {SEGMENT: segment()})

    def together(self, where: str, segments: Callable[[], Mapping[str, onnx.ModelProto]]) -> CompilerCrashed:
        """The same, about segments that were compiled into one file."""
        self.where, self._segments = where, segments
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the segments, which may be large."""
        rebuild, (kind, args, fields) = super().__reduce__()
        return rebuild, (kind, args, {**fields, "_segments": dict})


def crashed(name: str, runtime: str, how: str, output: str) -> CompilerCrashed:
    """`name`: of the adapter; `how`: "SIGSEGV", "exit code 77"."""
    if how in FROM_OUTSIDE:
        help = "where memory is short, close other programs, or allow more with --memory-limit SIZE"
        return CompilerCrashed(f"the compiler of {name} was killed ({how})", help=help, runtime=runtime, ending="killed", output=output)
    last = last_line(output)
    return CompilerCrashed(f"the compiler of {name} crashed ({how}){f': {last}' if last else ''}", runtime=runtime, output=output)


def too_slow(name: str, runtime: str, seconds: float) -> CompilerCrashed:
    message = f"the compiler of {name} did not finish within {seconds:g} s"
    return CompilerCrashed(message, help=MORE_TIME, runtime=runtime, ending="too slow")


def last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:LONGEST_LINE] if lines else ""
