"""The parent's handle on the child process that evaluates the untouched model: asks it, and says why it died.

A crash, a hang or too much memory in there ends the child alone, and becomes one sentence.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import ModelError, UserError
from ..load.read_model import peek_model
from ..load.runtime_gap import explain_refusal
from ..load.source import MemoryModel, Source
from .child import WAITING, Child
from .frames import Closed, Late
from .messages import Answer, Open, Opened, Question

SECONDS = 300.0
"""For opening a model, or for one set of inputs."""
SHARE = 0.8
"""Of the memory that is free when the child starts: what it may take at most."""
LARGEST_INLINE = 1 << 30
"""Bytes of a model in memory that are sent as they are; larger ones go through a temporary file with external weights."""
UNTOUCHED = "this is the model as it was given; `autoglmc check` says more, `autoglmc compile --no-verify` compiles it unseen"


class ReferenceDied(ModelError):
    """The process that evaluates a model crashed."""


class ReferenceLate(UserError):
    """An evaluation took more time than it may."""

    kind = "model"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the child may take."""

    seconds: float = SECONDS
    memory: int = 0
    """Bytes; 0 for SHARE of what is free."""


class Oracle:
    """A model, opened in a child process. A context manager; `close` ends the child."""

    def __init__(self, source: Source, limits: Limits = Limits()) -> None:
        """Raises ModelError for what is no ONNX model or what onnxruntime does not load, ReferenceDied where the child dies."""
        self._source, self._limits = source, limits
        self.where = str(source)
        """The model, for messages."""
        self._folder = contextlib.ExitStack()
        self._child: Child | None = None
        self.opened = self._open()

    def __enter__(self) -> Oracle:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def ask(self, question: Question) -> Answer:
        """Raises ReferenceDied where the child crashes, ReferenceLate where it takes too much time."""
        if self._child is None:
            self._open()
        answer: Answer = self._exchange(question, "on these inputs")
        return answer

    def close(self) -> None:
        """Lets go of the child."""
        child, self._child = self._child, None
        if child is not None:
            WAITING.give(child)
        self._folder.close()

    def _abandon(self) -> None:
        """Ends the child, whatever it does."""
        child, self._child = self._child, None
        if child is not None:
            child.end()
        self._folder.close()

    def _open(self) -> Opened:
        path, data = self._readable()
        self._child = WAITING.take()
        opened: Opened = self._exchange(Open(path, data, self._limits.memory or _free()), "")
        problem = opened.problem or opened.refused
        if problem:
            self.close()
            problem = explain_refusal(problem, peek_model(self._source)[0])
            raise ModelError(f"onnxruntime cannot run the model: {problem}", where=self.where, help=UNTOUCHED)
        return opened

    def _readable(self) -> tuple[str | None, bytes]:
        """A path for the child to read, or the model's bytes."""
        if isinstance(self._source, Path):
            return str(self._source.resolve()), b""
        if self._source.proto.ByteSize() < LARGEST_INLINE:
            return None, b"".join(self._source.serialised())
        return str(_saved(self._source, Path(self._folder.enter_context(tempfile.TemporaryDirectory())))), b""

    def _exchange(self, message: Any, when: str) -> Any:
        child = self._child
        assert child is not None
        try:
            return child.exchange(message, self._limits.seconds)
        except Late:
            self._abandon()
            late = f"running the untouched model took more than {self._limits.seconds:g} s {when}".rstrip()
            raise ReferenceLate(late, where=self.where, help=UNTOUCHED) from None
        except Closed:
            death = child.death()
            self._abandon()
            raise ReferenceDied(
                f"the process that runs the untouched model {death} {when}".rstrip(), where=self.where, help=UNTOUCHED
            ) from None
        except BaseException:
            self._abandon()
            raise


def _saved(source: MemoryModel, folder: Path) -> Path:
    import onnx

    path = folder / "model.onnx"
    onnx.save_model(source.copy(), str(path), save_as_external_data=True, location="model.data")
    return path


def _free() -> int:
    """Bytes that the child may take."""
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo", encoding="ascii") as facts:
        line = next(line for line in facts if line.startswith("MemAvailable"))
        return int(SHARE * 1024 * int(line.split()[1]))
    return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
