"""Our caches: where they are and what each holds. Any of them may be deleted at any time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder below `cache_root`; each file or folder in it is an entry."""

    name: str
    """Of the folder."""
    holds: str
    """What, in words."""
    limit: int
    """Bytes; above that the entries used longest ago go. 0 where there is no limit."""


BLOBS = Cache("blobs", "segments compiled ahead of time", 8192 * MIB)
REFERENCE = Cache("reference", "what untouched models compute, by model, shapes and inputs", 2048 * MIB)
GRAMMAR = Cache("grammar", "the parser's tables of .hw files, by version", 0)
"""grammar/text/table_cache.py keeps it: a file of 0.1 MiB a version."""
RANGES = Cache("ranges", "what tensors of float models range over, by model and calibration data", 256 * MIB)
REPORTS = Cache("reports", "what a runtime's compiler estimates of segments", 64 * MIB)
CACHES = (BLOBS, REFERENCE, RANGES, REPORTS, GRAMMAR)


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/autoglmc` (where that is an absolute path, as its standard says) or `~/.cache/autoglmc`; it need not exist.

    Raises UserError where this user has no home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "autoglmc"
    except RuntimeError:  # no HOME, and a user that the system does not know
        raise UserError("there is no folder for caches: this user has no home", help="set XDG_CACHE_HOME to a folder") from None


def cache_folder(name: str) -> Path:
    """The folder of a cache of CACHES; it need not exist. Raises KeyError for another name."""
    if name not in {cache.name for cache in CACHES}:
        raise KeyError(name)
    return cache_root() / name
