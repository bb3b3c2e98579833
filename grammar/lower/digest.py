"""One number for what a target means: equal meaning, equal digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from typing import Any

from ...targets.model import Target

NOT_MEANING = frozenset({"origin", "zero_copy_origin", "facts", "digest", "text", "title", "confidence"})
"""Fields about where or how something is written, not what it means."""
ORDERED = frozenset({"rewrites", "stages", "let", "match", "emit", "parameters", "words", "opset", "arguments", "items", "keywords"})
"""Fields whose order means something; the language is order-free elsewhere."""


def digest(target: Target) -> str:
    """sha256 (hex) over the resolved target without places, comments, layout or provenance."""
    return hashlib.sha256(_written(_canonical(target)).encode()).hexdigest()


_written = json.JSONEncoder(sort_keys=True).encode


def _canonical(value: Any, ordered: bool = True) -> Any:
    if isinstance(value, tuple):
        items = [_canonical(item) for item in value]
        return items if ordered or len(items) < 2 else sorted(items, key=_written)
    if value is None or isinstance(value, str | int | float):
        return value
    fields = {name: _canonical(getattr(value, name), kept) for name, kept in _meant(type(value))}  # type: ignore[arg-type]
    return {"": type(value).__name__, **fields}


@cache
def _meant(kind: type) -> tuple[tuple[str, bool], ...]:
    """(field, whether its order means something) of those fields of a class that are about meaning."""
    return tuple((field.name, field.name in ORDERED) for field in dataclasses.fields(kind) if field.name not in NOT_MEANING)
