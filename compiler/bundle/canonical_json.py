"""JSON text that is equal for equal values and takes few bytes: sorted keys, what fits on a line on one, the rest indented by two spaces.

A manifest is a part of the package, and one value a line is half white space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

WIDTH = 140
"""Characters of a line."""
STEP = "  "
ROOM = 3
"""Characters that a value needs besides its own: what encloses it, and a comma."""


def canonical(value: Any) -> str:
    """`value`: dicts with keys that are text, lists, text, numbers, booleans, None. Raises ValueError for a number that is not finite."""
    return _text(value, 0, 0) + "\n"


def _text(value: Any, depth: int, before: int) -> str:
    """before: characters in front of it on its line."""
    if not isinstance(value, (dict, list, tuple)) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner, listed = len(STEP) * (depth + 1), not isinstance(value, dict)
    parts = [_text(item, depth + 1, inner) for item in value] if listed else [_entry(key, value[key], depth + 1) for key in sorted(value)]
    first, last = "[]" if listed else "{}"
    flat = ", ".join(parts)
    if before + len(flat) + ROOM <= WIDTH and "\n" not in flat:
        return f"{first}{flat}{last}"
    lines = list(_filled(parts, WIDTH - inner)) if listed and not isinstance(value[0], dict) else parts
    between = f",\n{STEP * (depth + 1)}"
    return f"{first}\n{STEP * (depth + 1)}{between.join(lines)}\n{STEP * depth}{last}"


def _entry(key: str, value: Any, depth: int) -> str:
    name = json.dumps(key, ensure_ascii=False) + ": "
    return name + _text(value, depth, len(STEP) * depth + len(name))


def _filled(parts: Sequence[str], width: int) -> Iterator[str]:
    """Several of a list's items on a line."""
    line = ""
    for part in parts:
        if line and len(line) + len(part) + ROOM > width:
            yield line
            line = ""
        line = f"{line}, {part}" if line else part
    if line:
        yield line
