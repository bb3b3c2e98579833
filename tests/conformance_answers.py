"""Answers of the conformance run on disk, a file a target, so that a run that was ended goes on where it was and targets can be run one by
one. They are kept for the code, the runtime and the cases that they are of; others are not read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from conformance import Answer

from autoglmc.compiler.what_if.code_version import code_version


class Kept:
    """folder: where they lie; None for nowhere."""

    def __init__(self, folder: Path | None, cases: int, verify: bool) -> None:
        self._folder = folder
        versions = {name: _version(name) for name in ("onnx", "onnxruntime", "ai-edge-litert", "ethos-u-vela", "coreai-core")}
        self._stamp = {"code": code_version(), **versions, "cases": cases, "verify": verify}
        self._files: dict[str, IO[str]] = {}

    def of(self, target: str) -> list[Answer]:
        """What is kept of a target; of one that was measured otherwise nothing, and its file goes."""
        path = self._path(target)
        if path is None or not path.exists():
            return []
        head, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        if head != json.dumps(self._stamp):
            path.unlink()
            return []
        kept = list(_answers(lines))
        if len(kept) < len(lines):  # what comes next begins a line of its own
            path.write_text("".join(line + "\n" for line in (head, *lines[: len(kept)])), encoding="utf-8")
        return kept

    def keep(self, answer: Answer) -> None:
        path = self._path(answer.target)
        if path is None:
            return
        if answer.target not in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            self._files[answer.target] = path.open("a", encoding="utf-8")
            if new:
                self._line(answer.target, self._stamp)
        self._line(answer.target, asdict(answer))

    def _line(self, target: str, facts: object) -> None:
        self._files[target].write(json.dumps(facts) + "\n")
        self._files[target].flush()

    def _path(self, target: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{target}.jsonl"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _answers(lines: Sequence[str]) -> Iterator[Answer]:
    """The last line may be cut off."""
    for line in lines:
        try:
            yield Answer(**json.loads(line))
        except ValueError:
            return
