"""Small JSON objects in a cache, by name: whole or not there. Where the cache cannot be read or written, there is just nothing in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..errors import UserError
from .entries import keep_below
from .folders import Cache, cache_folder
from .whole import keep_bytes, kept_bytes


def kept_json(cache: Cache, name: str) -> dict[str, Any] | None:
    """None where no object is kept under the name."""
    with suppress(UserError, ValueError):
        data = kept_bytes(cache_folder(cache.name) / name)
        found = None if data is None else json.loads(data)
        return found if isinstance(found, dict) else None
    return None


def keep_json(cache: Cache, name: str, found: Mapping[str, Any]) -> None:
    """Where the cache cannot be written, it is made again the next time."""
    with suppress(UserError, OSError):
        folder = cache_folder(cache.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if keep_bytes(folder / name, json.dumps(found).encode()):
            keep_below(folder, cache.limit)
