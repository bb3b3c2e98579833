"""The models of one command line, which become one bundle: each has a name, which links and entries say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...errors import UsageError


def named_models(words: Sequence[Path]) -> dict[str, Path]:
    """By name: that of the file, or what stands before = in NAME=FILE. Raises UsageError for two of one name."""
    from ...driver.entries.asked_entries import NAME

    found: dict[str, Path] = {}
    for word in words:
        given = None if word.exists() else re.fullmatch(rf"({NAME.pattern})=(.+)", str(word), re.DOTALL)
        name, path = (given[1], Path(given[2])) if given else (word.stem, word)
        if not NAME.fullmatch(name):
            raise UsageError(f"'{name}' cannot name a model", where=str(path), help=f"give it a name: NAME={path}")
        if name in found:
            help = f"give one of them another name: NAME={path}"
            raise UsageError(f"two models are called '{name}': {found[name]} and {path}", help=help)
        found[name] = path
    return found
