"""Answers about the untouched model, kept: within a process, so that a search over many plans asks once, and on disk by the hash of the
model, the shapes and the inputs, so that a second verification starts no child at all."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from ..load.source import Source
from ..load.weights import model_sha256
from ..mapped_arrays import MappedArrays
from ..source_digest import source_digest
from .messages import Answer, Opened, Question
from .oracle import Oracle
from .store import PARTS, Store

KEPT = 1 << 29
"""Bytes of answers kept in memory."""


class Recalling:
    """An oracle that remembers. It opens the model only when something is asked that nobody asked before. A context manager."""

    def __init__(self, source: Source, store: Store | None = None) -> None:
        """store: where answers are kept on disk; nowhere by default."""
        self.source, self.where = source, str(source)
        self._store = store
        self._oracle: Oracle | None = None
        self._answers: dict[str, Answer] = {}
        self._arrays = MappedArrays()
        self._bytes = 0

    def __enter__(self) -> Recalling:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child, if there is one; further questions start another."""
        if self._oracle is not None:
            self._oracle.close()
            self._oracle = None

    @cached_property
    def _key(self) -> Any:
        return hashlib.sha256(f"{model_sha256(self.source)} {_versions()}".encode())

    @cached_property
    def opened(self) -> Opened:
        """The model's outputs and tensors. Raises what opening the model raises."""
        key = self._digest("opened")
        known = None if self._store is None else self._store.opened(key)
        if known is not None:
            return known
        found = self._open().opened
        if self._store is not None:
            self._store.keep_opened(key, found)
        return found

    def ask(self, question: Question) -> Answer:
        """What `Oracle.ask` answers, or answered before."""
        key = self._digest(question)
        answer = self._answers.get(key)
        if answer is None and self._store is not None:
            answer = self._store.answer(key)
        if answer is None:
            answer = self._open().ask(question)
            if self._store is not None:
                self._store.keep(key, answer)
        if key not in self._answers:
            answer = self._mapped(answer)
            self._remember(key, answer)
        return answer

    def _mapped(self, answer: Answer) -> Answer:
        """The same, maybe in a mapped file: whoever compares keeps the answers to all questions."""
        kept = self._arrays.kept
        whole: dict[str, Any] = {name: kept(value) for name in PARTS if (value := getattr(answer, name)) is not None}
        return replace(answer, **whole, noise=tuple(map(kept, answer.noise)), steps=tuple(map(kept, answer.steps)))

    def _open(self) -> Oracle:
        if self._oracle is None:
            self._oracle = Oracle(self.source)
        return self._oracle

    def _remember(self, key: str, answer: Answer) -> None:
        size = _size(answer)
        if key not in self._answers and self._bytes + size <= KEPT:
            self._answers[key] = answer
            self._bytes += size

    def _digest(self, what: Question | str) -> str:
        digest = self._key.copy()
        if isinstance(what, str):
            digest.update(what.encode())
            return str(digest.hexdigest())
        options = (what.tensors, what.own, what.optimised, what.exact, what.half, what.floats, what.noise, what.first, what.chained)
        digest.update(repr(options).encode())
        for name, value in sorted(what.inputs.items()):
            digest.update(name.encode())
            for item in value if isinstance(value, (list, tuple)) else (value,):
                _add(digest, item)
        return str(digest.hexdigest())


def _add(digest: Any, value: Any) -> None:
    import numpy as np

    array = np.asarray(value)
    digest.update(f"{array.dtype.name}{array.shape}".encode())
    digest.update(repr(array.tolist()).encode() if array.dtype.kind in "OUST" else np.ascontiguousarray(array).tobytes())


def _size(answer: Answer) -> int:
    parts = [answer.own, answer.optimised, answer.exact, answer.half, answer.floats, *answer.noise, *answer.steps]
    return sum(_bytes(value) for part in parts if part is not None for value in part.values())


def _bytes(value: Any) -> int:
    return sum(map(_bytes, value)) if isinstance(value, (list, tuple)) else int(getattr(value, "nbytes", 64))


@cache
def _versions() -> str:
    """Changes with everything that an answer depends on besides the question: these modules, and the libraries."""
    from importlib.metadata import version

    folder = Path(__file__).parent
    return f"{source_digest(folder, folder.rglob('*.py'))} {[version(name) for name in ('onnx', 'onnxruntime', 'numpy')]}"
