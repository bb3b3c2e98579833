"""The models of one command line, which become one bundle: each has a name, which links and entries say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from .entry_options import NAME, asked_entries

if TYPE_CHECKING:
    from ....targets.model import Target
    from ...state.request import StateRequest

NAMED = re.compile(rf"({NAME.pattern})=(.+)", re.DOTALL)


def named_models(words: Sequence[Path]) -> dict[str, Path]:
    """By name: that of the file, or what stands before = in NAME=FILE. Raises UsageError for two of one name."""
    found: dict[str, Path] = {}
    for word in words:
        given = None if word.exists() else NAMED.fullmatch(str(word))
        name, path = (given[1], Path(given[2])) if given else (word.stem, word)
        if not NAME.fullmatch(name):
            raise UsageError(f"'{name}' cannot name a model", where=str(path), help=f"give it a name: NAME={path}")
        if name in found:
            help = f"give one of them another name: NAME={path}"
            raise UsageError(f"two models are called '{name}': {found[name]} and {path}", help=help)
        found[name] = path
    return found


def models_json(
    models: Sequence[Path],
    links: Sequence[str],
    buckets: Sequence[str],
    machine: Target,
    state: StateRequest | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Compiles several models into one bundle; options: of `compile_models`. Raises as that does, and UsageError for words that mean
    nothing here."""
    from ...driver.entries.compile_models import compile_models

    if buckets and state is None:
        raise UsageError("--bucket of several models is about the one with --state", help="give sizes of dims with --shape")
    entries = None if state is None else asked_entries(buckets, machine, state)
    return compile_models(named_models(models), machine, links=links, entries=entries, state=state, **options).as_json()
