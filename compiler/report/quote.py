"""The lines of .hw files that a screen speaks of, so that `a16.hw:22` need not be looked up."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...targets.origin import Origin

PLACE = re.compile(r"([^\s/\\:()'\"`,;]+\.hw):(\d+)")
"""How `str(Origin)` names a line."""


class SourceLines:
    """Lines of .hw files by the short names that messages have for them; nothing for a file that cannot be read."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """files: where each lies, by its name without a folder."""
        self._files = files
        self._lines: dict[str, list[str]] = {}

    def line(self, name: str, number: int) -> str:
        """The text of a 1-based line without the blanks around it; "" if there is no such line."""
        if name not in self._lines:
            self._lines[name] = _read(self._files.get(name))
        lines = self._lines[name]
        return lines[number - 1].strip() if 1 <= number <= len(lines) else ""

    def quotes(self, text: str, quoted: set[str] | None = None) -> Iterator[str]:
        """`   22 | launch 1 us;` for every line that the text names, once; those in `quoted` are left out, new ones added to it."""
        done = set[str]() if quoted is None else quoted
        for found in PLACE.finditer(text):
            line = self.line(found[1], int(found[2]))
            if line and found[0] not in done:
                done.add(found[0])
                yield f"{found[2]:>5} | {line}"


NO_SOURCE = SourceLines({})


def source_of(target: object) -> SourceLines:
    """The files that a target (anything made of dataclasses) comes from. Two files of one name have no short name: neither is quoted."""
    files: dict[str, set[str]] = {}
    for path in set(_files(target)):
        files.setdefault(Path(path.replace("\\", "/")).name, set()).add(path)
    return SourceLines({name: Path(*paths) for name, paths in files.items() if len(paths) == 1})


def _files(value: Any) -> Iterator[str]:
    """The file of every Origin inside."""
    if isinstance(value, Origin):
        yield value.file
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _files(getattr(value, field.name))
    elif isinstance(value, (tuple, list, frozenset)):
        for item in value:
            yield from _files(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _files(item)


def _read(path: Path | None) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines() if path is not None else []
    except (OSError, ValueError):
        return []
