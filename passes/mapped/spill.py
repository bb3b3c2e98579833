"""Weights that a compilation makes anew (folded, transposed, quantised) lie in a temporary file as soon as there are many of them, so that
they are stubs like those of the model's own file.

The file has no name: it goes with the last who knows it, also if the process is killed. Within `spilling`, `placed` writes to it. Without,
and on systems without /proc, weights stay in memory; so they do where files of the folder for temporary ones are memory themselves (tmpfs).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .mapped_tensor import LARGE, refer_to_marked

if TYPE_CHECKING:
    import onnx

ROOM = 1 << 22
"""Bytes of such weights that stay in memory, each in several copies."""
FIRST = 1 << 26
"""Bytes of the file at first; what is not written takes no room on the disk."""
LINE, MARK = 64, 16
"""Alignment in the file; bytes of the mark that it begins with."""
MOUNTS, DESCRIPTORS = Path("/proc/self/mountinfo"), Path("/proc/self/fd")
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


class SpillFailed(Exception):
    """The temporary file cannot be written. `folder`: where it is."""

    def __init__(self, problem: OSError, size: int) -> None:
        super().__init__(f"cannot write a temporary file of {size} bytes: {problem.strerror or problem}")
        self.folder = tempfile.gettempdir()


class Spill:
    """Weights of one compilation. Whoever keeps a stub of it keeps it."""

    def __init__(self, room: int) -> None:
        self._room, self._mark, self._length = room, os.urandom(MARK), 0

    def placed(self, tensor: onnx.TensorProto) -> onnx.TensorProto:
        """The tensor, or a stub of it. Raises SpillFailed."""
        size = len(tensor.raw_data)
        if size < LARGE:
            return tensor
        if size <= self._room:
            self._room -= size
            return tensor
        try:
            file = self._file
            if file is None:
                return tensor
            file.seek(-file.tell() % LINE, os.SEEK_CUR)
            offset = file.tell()
            self._lengthen(file, offset + size)
            file.write(tensor.raw_data)
            file.flush()
        except OSError as problem:
            raise SpillFailed(problem, size) from problem
        made = type(tensor)(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        refer_to_marked(made, DESCRIPTORS / str(file.fileno()), offset, size, self._mark)
        return made

    def _lengthen(self, file: IO[bytes], end: int) -> None:
        """In steps that double, as a hole: a mapping of the file then covers many weights that follow."""
        if end > self._length:
            self._length = max(end, 2 * self._length, FIRST)
            os.ftruncate(file.fileno(), self._length)

    @cached_property
    def _file(self) -> IO[bytes] | None:
        if not DESCRIPTORS.is_dir() or in_memory(tempfile.gettempdir()):
            return None
        file = tempfile.TemporaryFile(prefix="autoglmc-")
        file.write(self._mark)
        return file


_current: ContextVar[Spill | None] = ContextVar("spill", default=None)


@contextmanager
def spilling(room: int = ROOM) -> Iterator[None]:
    """Inside, weights beyond `room` bytes go to one file; another `spilling` inside has no effect."""
    if _current.get() is not None:
        yield
        return
    token = _current.set(Spill(room))
    try:
        yield
    finally:
        _current.reset(token)


def current_spill() -> Spill | None:
    """The one that `placed` writes to here."""
    return _current.get()


def placed(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """A weight of the main graph that was made anew, or a stub of it. Raises SpillFailed."""
    spill = _current.get()
    return tensor if spill is None else spill.placed(tensor)


def in_memory(folder: str) -> bool:
    """Whether files there are memory themselves."""
    try:
        device = os.stat(folder).st_dev
        lines = [line.split() for line in MOUNTS.read_text("utf-8").splitlines()]
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    return any(words[2] == number and words[words.index("-") + 1] in IN_MEMORY for words in lines if "-" in words)
