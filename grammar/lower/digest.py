"""One number for what a target means: equal meaning, equal digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from typing import Any

from ...targets.model import Target

NOT_MEANING = frozenset({"origin", "zero_copy_origin", "facts", "digest", "text", "title", "confidence", "note"})
"""Fields about where or how something is written, not what it means."""
ORDERED = frozenset(
    {
        "rewrites",
        "rates",
        "prefers",
        "keeps",
        "weights",
        "stages",
        "let",
        "match",
        "emit",
        "parameters",
        "words",
        "opset",
        "arguments",
        "items",
        "keywords",
    }
)
"""Fields whose order means something; the language is order-free elsewhere."""


def digest(target: Target) -> str:
    """sha256 (hex) over the resolved target without places, comments, layout or provenance."""
    return hashlib.sha256(_written(target).encode()).hexdigest()


def _written(value: Any, ordered: bool = True) -> str:
    """The value as JSON with sorted keys, in one walk: a file may have 20,000 conditions."""
    kind = type(value)
    if kind is tuple:
        items = [_written(item) for item in value]
        return f"[{', '.join(items if ordered else sorted(items))}]"
    if kind is str:
        return json.encoder.encode_basestring_ascii(value)
    if value is None or isinstance(value, int | float):
        return json.dumps(value)
    begin, fields = _meant(kind)  # type: ignore[arg-type]
    return "".join([begin, *[f"{key}{_written(getattr(value, name), kept)}" for name, key, kept in fields], "}"])


@cache
def _meant(kind: type) -> tuple[str, tuple[tuple[str, str, bool], ...]]:
    """How an object of the class begins, and (field, what is written before it, whether its order means something) of those fields that
    are about meaning."""
    names = sorted(field.name for field in dataclasses.fields(kind) if field.name not in NOT_MEANING)
    return f'{{"": "{kind.__name__}"', tuple((name, f', "{name}": ', name in ORDERED) for name in names)
