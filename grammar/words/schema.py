"""Which statements each block may hold, which of them once, and how two statements without a `;` between them are recognised."""

from __future__ import annotations

from dataclasses import replace

from ...targets.operators import operator_names
from ..text.diagnostics import Note
from ..text.syntax import Arg, Item, Rule, Statement
from .names import closest, suggestion_or_list
from .properties import PROPERTIES, row, row_anywhere
from .reader import Report

BROKEN = "_"
"""The head that recovery writes in place of an unreadable one."""


def inner(block: str, head: str) -> str:
    """The kind of block that a statement of a block opens; "" where it opens none."""
    found = row_anywhere(block, head)
    return found.opens if found else ""


def property_key(block: str, statement: Statement) -> tuple[str, ...] | None:
    """What makes two statements of a block the same property; None for those that add up."""
    head, words = statement.head.text, statement.words
    found = None if block == "shapes" else row_anywhere(block, head)  # there heads are names of the author's own
    if block in ("operators", "kernel", "amend", "file") or (found and found.repeated):
        return None
    if head == "link":
        one_way = any(arg.text == "->" for arg in statement.args)
        return ("link", *(words[:2] if one_way else sorted(words[:2])), "->" if one_way else "<->")
    if found and found.sign and block == "limits":
        return (head, *(arg.text for arg in _before_sign(statement.args)))
    return (head, *words[:1]) if found and (found.keyed or found.named) else (head,)


def _before_sign(args: tuple[Arg, ...]) -> tuple[Arg, ...]:
    for index, arg in enumerate(args):
        if arg.kind == "sign":
            return args[:index]
    return args


def tidy_body(items: tuple[Item, ...], block: str, report: Report) -> tuple[Item, ...]:
    """The statements of a block and its blocks, run-ons split and broken heads dropped; reports run-ons and duplicates."""
    done: list[Item] = []
    for item in items:
        if isinstance(item, Rule):
            done.append(item)
            continue
        for part in _split(item, block, report):
            if part.head.text == BROKEN and (part.body is None or block == "operators"):
                continue
            kind = inner(block, part.head.text)
            body = part.body if part.body is None or not kind else tidy_body(part.body, kind, report)
            done.append(replace(part, body=body))
    _duplicates(done, block, report)
    if block in ("device", "table"):
        _both(done, report)
    return tuple(done)


def _split(statement: Statement, block: str, report: Report) -> list[Statement]:
    """One statement, or two where a known word begins a line inside it: the `;` before that line is missing."""
    known = operator_names() if block == "operators" else PROPERTIES.get(block, {})
    for index, arg in enumerate(statement.args):
        before = statement.args[index - 1] if index else statement.head
        if arg.kind != "word" or arg.text not in known or before.kind == "sign" or not _begins_line(arg):
            continue
        _missing(before, report)
        head = replace(statement, args=statement.args[:index], where=None, otherwise=None, body=None)
        rest = replace(statement, head=arg, args=statement.args[index + 1 :], span=arg.span.to(statement.span))
        return [head, *_split(rest, block, report)]
    for index, arg in enumerate(statement.otherwise or ()):
        if index and arg.kind == "word" and arg.text in known and _begins_line(arg):
            assert statement.otherwise is not None
            _missing(statement.otherwise[index - 1], report)
            head = replace(statement, otherwise=statement.otherwise[:index])
            rest = replace(statement, head=arg, args=statement.otherwise[index + 1 :], where=None, otherwise=None)
            return [head, *_split(rest, block, report)]
    return [statement]


def _begins_line(arg: Arg) -> bool:
    text = arg.span.source.text
    return not text[text.rfind("\n", 0, arg.span.start) + 1 : arg.span.start].strip()


def _missing(before: Arg, report: Report) -> None:
    after = replace(before.span, start=before.span.end, end=before.span.end + 1)
    report.error("HW0002", after, f"missing `;` after `{before.span.text}`", "a statement ends with `;` or a `{ … }` block")


def _duplicates(items: list[Item], block: str, report: Report) -> None:
    seen: dict[tuple[str, ...], Statement] = {}
    for item in items:
        key = property_key(block, item) if isinstance(item, Statement) else None
        if key is None or not isinstance(item, Statement) or item.head.text == BROKEN:
            continue
        first = seen.setdefault(key, item)
        if first is item:
            continue
        note = Note("first here", first.span)
        if block == "target" and (found := row(block, item.head.text)) and found.named:
            named = item.args[0] if item.args else item.head
            name = " ".join(item.words[:2] if item.head.text == "link" else item.words[:1])
            report.error("HW0102", named.span, f"there is already a {item.head.text} `{name}`", "", (note,))
            report.assumed.add(item.head.text)  # one of the two was meant to have another name
        else:
            report.error("HW0103", item.head.span, f"`{' '.join(key)}` is set twice", "", (note,))


def _both(items: list[Item], report: Report) -> None:
    """HW0506: an operator that one layer of a device both supports and denies without a condition (a child may deny what it inherits)."""
    listed: dict[str, Arg] = {}
    denied: dict[str, Arg] = {}
    for item in items:
        if not isinstance(item, Statement) or item.head.text not in ("supports", "deny"):
            continue
        for line in item.body or ():
            if isinstance(line, Statement) and line.where is None and line.head.text != "inherit":
                names = (line.head, *(arg for arg in line.args if arg.kind == "word"))
                (listed if item.head.text == "supports" else denied).update({name.text: name for name in names})
    for name, arg in denied.items():
        if name in listed:
            note = Note("supported here", listed[name].span)
            report.error("HW0506", arg.span, f"`{name}` is both supported and denied", "remove one, or add a `where` to one", (note,))


def unknown(statement: Statement, block: str, where: str, report: Report) -> None:
    """HW0101: a word that this block does not know."""
    known = PROPERTIES[block]
    word = statement.head.text
    if word == BROKEN:
        return
    what = "block" if statement.body is not None else "property"
    elsewhere = [name for name, rows in PROPERTIES.items() if word in rows and name != block]
    elsewhere = [name for name in elsewhere if name != "calibration"] or elsewhere  # it repeats words of other blocks
    help = suggestion_or_list(word, known)
    if statement.body is not None:  # what it holds tells what it was meant to be
        heads = {item.head.text for item in statement.body if isinstance(item, Statement)}
        report.assumed.update(name for name in known if not heads.isdisjoint(PROPERTIES.get(name, {})))
    if block == "memory" and statement.body is None and not statement.args and not elsewhere and not closest(word, known):
        help = "separate the devices of `shared` by commas: `shared npu, cpu;`"
    if not elsewhere:
        report.assumed.update({closest(word, known), *statement.words[:1]})  # `Relu shared npu`: a word too many before what was meant
    if elsewhere:
        report.misplaced[where] += 1
        if report.misplaced[where] > 2:
            report.assumed.update(elsewhere)  # the block itself is the wrong one: two of its statements tell enough
            return
        help = f"`{word}` belongs {' or '.join(f'in `{name}`' if name != 'file' else 'at the top level of the file' for name in elsewhere)}"
    report.error("HW0101", statement.head.span, f"unknown {what} `{word}` in {where}", help)
