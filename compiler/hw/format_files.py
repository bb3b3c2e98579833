"""Formats .hw files in place: a file is the old or the new one, never a mixture, and one with syntax errors stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...grammar import Diagnostic, HwError, read_source
from ...grammar.text.format import format_text
from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Formatted:
    path: Path
    text: str
    changed: bool


def canonical(text: str) -> str:
    """A text without syntax errors in canonical layout."""
    return format_text(text)


def format_files(paths: Iterable[Path]) -> tuple[list[Formatted], list[Diagnostic]]:
    """Every file without syntax errors in canonical layout, and the syntax errors of the others. Raises UsageError for what is no file."""
    files = list(paths)
    for path in files:
        if not path.is_file():
            raise UsageError(f"'{path}' is a folder, not a .hw file" if path.is_dir() else f"no such file: {path}")
    done: list[Formatted] = []
    errors: list[Diagnostic] = []
    for path in files:
        try:
            text = format_text(read_source(path).text, str(path))
        except HwError as error:
            errors += error.diagnostics
        else:
            done.append(Formatted(path, text, text.encode() != path.read_bytes()))
    return done, errors


def write_in_place(path: Path, text: str) -> None:
    """The text under a name of its own, which then takes the place of the file; the file's mode stays, and a link stays a link."""
    place = path.resolve()
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
        os.chmod(name, place.stat().st_mode & 0o7777)
        os.replace(name, place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
