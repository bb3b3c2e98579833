"""One number for what a target means: equal meaning, equal digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from ..targets.model import Target

SAID_ONLY = frozenset({"origin", "zero_copy_origin", "facts", "digest", "text", "title", "confidence"})
"""Fields that tell where or how something was said, not what."""
ORDERED = frozenset({"rewrites", "stages", "let", "match", "emit", "parameters", "words", "opset", "arguments", "items", "keywords"})
"""Fields whose order means something; the language is order-free elsewhere."""


def digest(target: Target) -> str:
    """sha256 (hex) over the resolved target without places, comments, layout or provenance."""
    return hashlib.sha256(json.dumps(_canonical(target), sort_keys=True).encode()).hexdigest()


def _canonical(value: Any, ordered: bool = True) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: _canonical(getattr(value, field.name), field.name in ORDERED)
            for field in dataclasses.fields(value)
            if field.name not in SAID_ONLY
        }
        return {"": type(value).__name__, **fields}
    if isinstance(value, tuple):
        items = [_canonical(item) for item in value]
        return items if ordered else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return value
