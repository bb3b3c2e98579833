"""Layers of a target merged, and what `amend &a16.npu { … }` and `delete &a16.npu.supports Resize;` do to its statements by path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..text.syntax import Arg, Item, Statement
from ..words.properties import PROPERTIES, row_anywhere
from ..words.reader import Report
from ..words.schema import inner, property_key

Layer = Callable[[tuple[Item, ...], str], tuple[Item, ...]]
"""The statements of an `amend`, written into a block of that kind, as a layer to merge: tidied, tables in place."""


def merge(parent: tuple[Item, ...], child: tuple[Item, ...], block: str) -> tuple[Item, ...]:
    """Two layers of one block as one: the upper layer replaces what may stand once, the rest adds up, its `rewrite` lines come first."""
    result = list(parent)
    places = {property_key(block, item): index for index, item in enumerate(result) if isinstance(item, Statement)}
    first: list[Item] = []
    for item in child:
        key = property_key(block, item) if isinstance(item, Statement) else None
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


def consumed(item: Item, path: list[str]) -> int:
    """How many words of a path name this statement: `npu`, `device.npu`, `link.npu.cpu`, `peak.fp16`, `dispatch`; 0 for none."""
    if not isinstance(item, Statement) or not path:
        return 0
    head, words = item.head.text, item.words
    if head in ("device", "memory") and words[:1] == (path[0],):
        return 1
    if head != path[0]:
        return 0
    if head == "link":
        return 3 if list(words[:2]) == path[1:3] else 0
    row = row_anywhere("device", head)
    if row is not None and (row.named or row.keyed):
        return 2 if list(words[:1]) == path[1:2] else 0
    return 1


def amended(item: Statement, path: list[str], edit: Statement, block: str, layer: Layer) -> Statement | None:
    """The statement with the body of the amend merged in at the path; None if there is no such path."""
    if not path:
        if item.body is None or block not in PROPERTIES or block == "file":
            return None
        return replace(item, body=merge(item.body, layer(edit.body or (), block), block))
    for index, child in enumerate(item.body or ()):
        used = consumed(child, path)
        if used and isinstance(child, Statement):
            changed = amended(child, path[used:], edit, inner(block, child.head.text), layer)
            if changed is not None:
                assert item.body is not None
                return replace(item, body=(*item.body[:index], changed, *item.body[index + 1 :]))
    return None


def deleted(item: Statement, path: list[str], names: list[Arg], report: Report) -> Statement | None:
    """The statement without what the path names; None if there is no such path."""
    hits = [index for index, child in enumerate(item.body or ()) if consumed(child, path)]
    if not hits:
        return None
    body: list[Item] = list(item.body or ())
    used = consumed(body[hits[0]], path)
    if used < len(path):
        child = body[hits[0]]
        assert isinstance(child, Statement)
        changed = deleted(child, path[used:], names, report)
        if changed is None:
            return None
        body[hits[0]] = changed
        return replace(item, body=tuple(body))
    if not names:
        return replace(item, body=tuple(child for index, child in enumerate(body) if index not in hits))
    found: set[str] = set()
    kept: list[Item] = []
    for index, child in enumerate(body):
        kept += _without(child, {name.text for name in names}, found) if index in hits else [child]
    for name in names:
        if name.text not in found:
            report.error("HW0206", name.span, f"`{'.'.join(path)}` has no `{name.text}` to delete")
    return replace(item, body=tuple(kept))


def _without(item: Item, names: set[str], found: set[str]) -> list[Item]:
    """A block less its lines for those operators, or nothing if it is itself a line for one of them."""
    assert isinstance(item, Statement)
    if item.body is None:
        hit = names.intersection(item.words[:1])
        found |= hit
        return [] if hit else [item]
    kept: list[Item] = []
    for line in item.body:
        if not isinstance(line, Statement):
            continue
        listed = [line.head, *(arg for arg in line.args if arg.kind == "word")]
        stay = [arg for arg in listed if arg.text not in names]
        found |= {arg.text for arg in listed} & names
        if len(stay) == len(listed):
            kept.append(line)
        elif stay:
            kept.append(replace(line, head=stay[0], args=tuple(_with_commas(stay[1:]))))
    return [replace(item, body=tuple(kept))]


def _with_commas(names: Iterable[Arg]) -> list[Arg]:
    return [arg for name in names for arg in (Arg("sign", ",", name.span), name)]


def offer(target: Statement, path: list[str]) -> str:
    """What the path could have gone on with, as far as it leads."""
    item = target
    rest = path
    while True:
        child = next((child for child in item.body or () if consumed(child, rest)), None)
        if not isinstance(child, Statement):
            break
        rest = rest[consumed(child, rest) :]
        item = child
    heads = [child for child in item.body or () if isinstance(child, Statement)]
    names = (child.words[0] if child.head.text in ("device", "memory") and child.words else child.head.text for child in heads)
    return ", ".join(dict.fromkeys(names)) or "nothing"
