"""What is in our caches, and emptying them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import UsageError, did_you_mean
from .entries import entries, remove, remove_abandoned
from .folders import CACHES, Cache, cache_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A cache and what is in it."""

    name: str
    holds: str
    path: str
    entries: int
    bytes: int
    limit: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def contents() -> tuple[Contents, ...]:
    """Every cache of ours, also those that are empty or not there yet."""
    return tuple(map(_contents, CACHES))


def clear(names: Iterable[str] = ()) -> tuple[Contents, ...]:
    """Empties the caches of these names (all of them without one); returns what was removed of each. What another process is writing just
    now stays. Raises UsageError for a name that no cache has, before anything is removed."""
    chosen = tuple(map(_named, names)) or CACHES
    return tuple(_cleared(cache) for cache in dict.fromkeys(chosen))


def _named(name: str) -> Cache:
    for cache in CACHES:
        if cache.name == name:
            return cache
    raise UsageError(f"there is no cache called {name!r}", help=did_you_mean(name, (cache.name for cache in CACHES)))


def _cleared(cache: Cache) -> Contents:
    folder = cache_folder(cache.name)
    removed = [entry for entry in entries(folder) if remove(entry.path)]
    remove_abandoned(folder)
    return _described(cache, len(removed), sum(entry.bytes for entry in removed))


def _contents(cache: Cache) -> Contents:
    found = entries(cache_folder(cache.name))
    return _described(cache, len(found), sum(entry.bytes for entry in found))


def _described(cache: Cache, count: int, size: int) -> Contents:
    path = str(cache_folder(cache.name))
    return Contents(name=cache.name, holds=cache.holds, path=path, entries=count, bytes=size, limit=cache.limit)
