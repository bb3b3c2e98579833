"""Layers of a target merged, and what `amend &a16.npu { … }` and `delete &a16.npu.supports Resize;` do to its statements by path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..text.syntax import Arg, Item, Statement
from ..words.properties import PROPERTIES, row_anywhere
from ..words.reader import Report
from ..words.schema import inner, property_key

OF_FORMS = frozenset({"prefer", "keep", "weights"})
"""Statements of a form or a dtype and, behind it, operators."""
Layer = Callable[[tuple[Item, ...], str], tuple[Item, ...]]
"""The statements of an `amend`, written into a block of that kind, as a layer to merge: tidied, tables in place."""


def merge(parent: tuple[Item, ...], child: tuple[Item, ...], block: str) -> tuple[Item, ...]:
    """Two layers of one block as one: the upper layer replaces what may stand once, the rest adds up; where order counts, it is first."""
    result = list(parent)
    places = {property_key(block, item): index for index, item in enumerate(result) if isinstance(item, Statement)}
    first: list[Item] = []
    for item in child:
        key = property_key(block, item) if isinstance(item, Statement) else None
        place = places.get(key) if key is not None else None
        if place is None:
            (first if isinstance(item, Statement) and _ordered(item, block) else result).append(item)
            continue
        old = result[place]
        assert isinstance(old, Statement) and isinstance(item, Statement)
        result[place] = _over(old, item, block)
    return (*first, *result)


def _ordered(item: Statement, block: str) -> bool:
    row = row_anywhere(block, item.head.text)
    return row is not None and row.ordered


def _over(old: Statement, new: Statement, block: str) -> Statement:
    kind = inner(block, new.head.text)
    if not kind or old.body is None or new.body is None:
        return new
    below = _noted(old) if kind == "calibration" and new.args else old.body
    return replace(new, args=(*new.args, *old.args[len(new.args) :]), body=merge(below, new.body, kind))


def _noted(old: Statement) -> tuple[Item, ...]:
    """The lines of a calibration with its note on each: the layer above has another."""
    note = tuple(arg for arg in old.args if arg.kind == "provenance")
    return tuple(
        replace(item, args=(*item.args, *note[: not any(arg.kind == "provenance" for arg in item.args)]))
        if isinstance(item, Statement) and item.head.text != "version"
        else item
        for item in old.body or ()
    )


def consumed(item: Item, path: list[str], block: str) -> int:
    """How many words of a path name this statement of a block: `npu`, `device.npu`, `link.npu.cpu`, `peak.fp16`, `dispatch`; 0 for none."""
    if not isinstance(item, Statement) or not path:
        return 0
    head, words = item.head.text, item.words
    if block == "calibration":
        return int(head == path[0])
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
        used = consumed(child, path, block)
        if used and isinstance(child, Statement):
            changed = amended(child, path[used:], edit, inner(block, child.head.text), layer)
            if changed is not None:
                assert item.body is not None
                return replace(item, body=(*item.body[:index], changed, *item.body[index + 1 :]))
    return None


def deleted(item: Statement, path: list[str], names: list[Arg], block: str, report: Report) -> Statement | None:
    """The statement, which opens a block of that kind, without what the path names; None if there is no such path."""
    hits = [index for index, child in enumerate(item.body or ()) if consumed(child, path, block)]
    if not hits:
        return None
    body: list[Item] = list(item.body or ())
    used = consumed(body[hits[0]], path, block)
    if used < len(path):
        child = body[hits[0]]
        assert isinstance(child, Statement)
        changed = deleted(child, path[used:], names, inner(block, child.head.text), report)
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
    if item.head.text in OF_FORMS:
        return _without_operators(item, names, found)
    if item.body is None and (row := row_anywhere("calibration", item.head.text)) and row.listed:
        return _without_listed(item, names, found)
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


def _without_operators(line: Statement, names: set[str], found: set[str]) -> list[Item]:
    """A line about forms without those of its operators, or nothing if it has no other or is one for that form or dtype."""
    if hit := names.intersection(line.words[:1]):
        found |= hit
        return []
    at = [index for index, arg in enumerate(line.args) if arg.kind == "word" and (arg.text[0].isupper() or "::" in arg.text)]
    stay = [line.args[index] for index in at if line.args[index].text not in names]
    found |= {line.args[index].text for index in at} & names
    if not at or len(stay) == len(at):
        return [line]
    return [replace(line, args=(*line.args[: at[0]], *_with_commas(stay)[1:], *line.args[at[-1] + 1 :]))] if stay else []


def _without_listed(line: Statement, names: set[str], found: set[str]) -> list[Item]:
    """A `rate` or `block` of a calibration without those of its operators, or nothing if it has no other."""
    end = next((index for index, arg in enumerate(line.args) if arg.text != "," and (arg.kind != "word" or index % 2)), len(line.args))
    listed = line.args[:end:2]
    stay = [arg for arg in listed if arg.text not in names]
    found |= {arg.text for arg in listed} & names
    return [replace(line, args=(*_with_commas(stay)[1:], *line.args[end:]))] if stay else []


def _with_commas(names: Iterable[Arg]) -> list[Arg]:
    return [arg for name in names for arg in (Arg("sign", ",", name.span), name)]


def offer(target: Statement, path: list[str], block: str) -> str:
    """What the path could have gone on with, as far as it leads."""
    item = target
    rest = path
    while True:
        child = next((child for child in item.body or () if consumed(child, rest, block)), None)
        if not isinstance(child, Statement):
            break
        rest = rest[consumed(child, rest, block) :]
        item, block = child, inner(block, child.head.text)
    heads = [child for child in item.body or () if isinstance(child, Statement)]
    named = ("device", "memory") if block != "calibration" else ()
    names = (child.words[0] if child.head.text in named and child.words else child.head.text for child in heads)
    return ", ".join(dict.fromkeys(names)) or "nothing"
