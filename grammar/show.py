"""A target as one file without includes: every statement where inheritance, amends and deletes have put it, with file and line.

Lines that come from a `table` were checked for all opsets and not the target's, so they stay in a table, one per device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from .files.resolve import LANGUAGE, Resolved
from .files.tables import of_one_kind
from .text.diagnostics import Span
from .text.format import format_text
from .text.syntax import Item, Rule, Statement

DEPEND_ON_OPSETS = ("supports", "deny", "rewrite", "weights", "precision")


def show_text(resolved: Resolved) -> str:
    """The canonical text, which reads back as the same target."""
    target = resolved.target
    if target is None:
        raise ValueError("a file of tables has no target to show")
    statements = [item for item in target.body or () if isinstance(item, Statement)]
    devices = {item.words[0]: item for item in statements if item.head.text == "device"}
    tables: list[str] = []
    lines: list[str] = []
    for item in statements:
        if item.head.text != "device":
            lines.append(_text(item))
            continue
        name = f"{target.words[0]}_{item.words[0]}"
        own, shared = _divided(replace(item, body=tuple(_whole(item, devices))), resolved)
        if shared:
            tables.append(f"// operators of {item.words[0]} that come from tables\ntable {name} {{\n{_texts(shared)}\n}}")
        inherit = f"inherit {name};\n" if shared else ""
        lines.append(f"{_words(item)} {{ {_place(item.head.span)}\n{inherit}{_texts(own)}\n}}")
    rules = [f"{_place(rule.span)}\n{rule.span.text}" for rule in resolved.rules.values()]
    whole = f"target {target.words[0]} {{ {_place(target.head.span)}\n{_spaced(statements, lines)}\n}}"
    return format_text("\n\n".join((f"hw {LANGUAGE};", *tables, whole, *rules)))


def _spaced(statements: Iterable[Statement], lines: Iterable[str]) -> str:
    """A blank line before every block, and behind the last one."""
    text, block = "", False
    for item, line in zip(statements, lines, strict=True):
        blank = "\n" if text and (block or item.body is not None) else ""
        text, block = f"{text}{blank}{line}\n", item.body is not None
    return text


# --- which lines


def _whole(device: Statement, devices: Mapping[str, Statement]) -> Iterator[Item]:
    """The device's statements, `inherit other;` inside `supports` replaced by the lines of the other device."""
    for item in device.body or ():
        if isinstance(item, Statement) and item.head.text == "supports" and item.body is not None:
            yield replace(item, body=tuple(_operators(item, devices)))
        else:
            yield item


def _operators(supports: Statement, devices: Mapping[str, Statement]) -> Iterator[Item]:
    for line in supports.body or ():
        if not isinstance(line, Statement) or line.head.text != "inherit":
            yield line
            continue
        for block in devices[line.words[0]].body or ():
            if isinstance(block, Statement) and block.head.text == "supports" and of_one_kind(block, supports):
                yield from _operators(block, devices)


def _divided(device: Statement, resolved: Resolved) -> tuple[list[Item], list[Item]]:
    """(the device's own statements, those with lines from tables). A layer's lines stand before those of the layer below, where order
    counts."""
    own: list[Item] = []
    shared: list[Item] = []
    statements = [item for item in device.body or () if isinstance(item, Statement)]
    kept = set(DEPEND_ON_OPSETS)
    for head in ("rewrite", "weights"):
        inherited = [_from_table(item, resolved) for item in statements if item.head.text == head]
        kept -= {head} if inherited != sorted(inherited) else set()
    for item in device.body or ():
        if isinstance(item, Statement):
            lines = item.body or (item,)
            moved = item.head.text in kept and any(_from_table(line, resolved) for line in lines)
            (shared if moved else own).append(item)
    return own, shared


def _from_table(item: Item, resolved: Resolved) -> bool:
    span = item.name.span if isinstance(item, Rule) else item.head.span
    tables = [table.span for table in resolved.tables.declared.values()]
    return any(table.source is span.source and table.start <= span.start < table.end for table in tables)


# --- their text


def _texts(items: Iterable[Item]) -> str:
    return "\n".join(_text(item) for item in items if isinstance(item, Statement))


def _text(item: Statement) -> str:
    words = _words(item)
    if item.body is None:
        return f"{words}; {_place(item.head.span)}"
    return f"{words} {{ {_place(item.head.span)}\n{_texts(item.body)}\n}}"


def _words(item: Statement) -> str:
    """A statement up to its `;` or block, as written."""
    parts, before = [item.head.span.text], item.head.span
    for arg in item.args:
        text = arg.text if arg.kind == "sign" else arg.span.text
        if text.startswith("-") and arg.span.source is before.source and arg.span.start == before.end:
            parts[-1] += text  # a word with a hyphen, `u55-256`
        else:
            parts.append(text)
        before = arg.span
    if item.where is not None:
        parts += ["where", item.where.span.text]
    if item.otherwise is not None:
        parts += ["else", *(arg.span.text for arg in item.otherwise)]
    return " ".join(parts)


def _place(span: Span) -> str:
    return f"// {span.origin}"
