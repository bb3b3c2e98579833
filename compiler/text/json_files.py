"""JSON files that come with a model: read as far as they can be trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError, first_line
from ..quantities import size

MOST = 64 << 20
"""Bytes of a file of settings."""


def read_settings(path: Path) -> Mapping[str, Any]:
    """An object of a JSON file; empty where there is no such file. Raises UserError for one that cannot be read, or is none."""
    text = read_text(path, MOST)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UserError(f"{path.name} is not valid JSON: {first_line(problem)}", where=str(path)) from None
    if not isinstance(found, dict):
        raise UserError(f"{path.name} is not a JSON object", where=str(path))
    return found


def read_text(path: Path, most: int) -> str | None:
    """None where there is no such file. Raises UserError for one that is larger than `most` bytes, cannot be read, or is not UTF-8."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise UserError(f"cannot read {path.name}: {problem.strerror}", where=str(path)) from None
    return text_of(data, path.name, str(path), most)


def text_of(data: bytes, name: str, where: str, most: int = MOST) -> str:
    """Raises UserError for more than `most` bytes, and for what is not UTF-8."""
    if len(data) > most:
        raise UserError(f"{name} is larger than {size(most)}", where=where)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise UserError(f"{name} is not text in UTF-8 (byte {problem.start})", where=where) from None
