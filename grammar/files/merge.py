"""Two layers of one block to one: what may stand once the upper layer replaces, what adds up adds up, its `rewrite` lines come first."""

from __future__ import annotations

from dataclasses import replace

from ..text.syntax import Item, Statement
from ..words.schema import inner, key_of


def merge(parent: tuple[Item, ...], child: tuple[Item, ...], block: str) -> tuple[Item, ...]:
    """The statements of two layers of one block."""
    result = list(parent)
    places = {key_of(block, item): index for index, item in enumerate(result) if isinstance(item, Statement)}
    first: list[Item] = []
    for item in child:
        key = key_of(block, item) if isinstance(item, Statement) else None
        place = places.get(key) if key is not None else None
        if place is None:
            (first if isinstance(item, Statement) and item.head.text == "rewrite" else result).append(item)
            continue
        old = result[place]
        assert isinstance(old, Statement) and isinstance(item, Statement)
        result[place] = _over(old, item, block)
    return (*first, *result)


def _over(old: Statement, new: Statement, block: str) -> Statement:
    kind = inner(block, new.head.text)
    if not kind or old.body is None or new.body is None:
        return new
    args = new.args if len(new.args) >= len(old.args) else (*new.args[:1], *old.args[1:])
    return replace(new, args=args, body=merge(old.body, new.body, kind))
