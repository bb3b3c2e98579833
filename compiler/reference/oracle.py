"""The parent's handle on the child process that evaluates the untouched model: asks it, and says why it died.

A crash, a hang or too much memory in there ends the child alone, and becomes one sentence.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..activity import MORE_TIME, Limits, default_seconds, limits
from ..errors import ModelError, UserError
from ..frames import Closed, Late
from ..free_memory import allowance
from ..load.read_model import peek_model
from ..load.runtime_gap import explain_refusal
from ..load.source import MemoryModel, Source
from .child import WAITING, Child
from .messages import Answer, Open, Opened, Question

SECONDS = 300.0
"""For opening a model, or for evaluating it in float64 on one set of inputs. onnxruntime gets what a run gets elsewhere, too."""
LARGEST_INLINE = 1 << 30
"""Bytes of a model in memory that are sent as they are; larger ones go through a temporary file with external weights."""
UNTOUCHED = "this is the model as it was given; `autoglmc check` says more, `autoglmc compile --no-verify` compiles it unseen"


class ReferenceDied(ModelError):
    """The process that evaluates a model crashed."""


class ReferenceLate(UserError):
    """An evaluation took more time than it may."""

    kind = "model"


class Oracle:
    """A model, opened in a child process. A context manager; `close` ends the child."""

    def __init__(self, source: Source, asked: Limits | None = None) -> None:
        """asked: instead of the limits that hold here.

        Raises ModelError for what is no ONNX model or what onnxruntime does not load, ReferenceDied where the child dies."""
        self._source, self._limits = source, asked or limits()
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
        seconds = self._limits.seconds
        first: Answer | None = None
        if question.own and question.exact:  # apart: onnxruntime is the faster one, and hangs on what loops for ever
            alone = replace(question, exact=False, optimised=False, half=False, noise=0)
            first = self._exchange(alone, "on these inputs", seconds or default_seconds(self.opened.size))
            if first.own is None:
                return first
            question = replace(question, own=False)
        answer: Answer = self._exchange(question, "on these inputs", seconds or SECONDS)
        return answer if first is None else replace(answer, own=first.own)

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
        memory = self._limits.memory or allowance()
        opened: Opened = self._exchange(Open(path, data, memory), "", self._limits.seconds or SECONDS)
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

    def _exchange(self, message: Any, when: str, seconds: float) -> Any:
        child = self._child
        assert child is not None
        try:
            return child.exchange(message, seconds)
        except Late:
            self._abandon()
            late = f"running the untouched model took more than {seconds:g} s {when}".rstrip()
            raise ReferenceLate(late, where=self.where, help=f"{MORE_TIME}; {UNTOUCHED}") from None
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
