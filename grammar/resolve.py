"""Files to one target as a syntax tree: include, extends (single chain, the child wins), amend, delete.

Merging is by statement. What may stand once (a number, a `peak` of a dtype, a limit) the child replaces; `supports`, `deny` and
`kernel` add up, since two rules for one operator are OR-ed and `deny` beats both; the child's `rewrite` lines come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from .diagnostics import Note, Source, Span
from .names import suggestion_or_list
from .reader import Reader, Report
from .schema import inner, key_of, tidy_body, unknown
from .syntax import Arg, File, Item, Rule, Statement, read

Load = Callable[[str, Source], Source | str]
"""(path as written, the source that says it) to the included source, or why it cannot be had."""
LANGUAGE = 1


@dataclass(slots=True)
class Files:
    """Everything the file and its includes declare."""

    report: Report
    load: Load
    targets: dict[str, Statement] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    edits: list[Statement] = field(default_factory=list)
    read: set[str] = field(default_factory=set)


def resolve(file: File, load: Load, report: Report) -> tuple[Statement | None, dict[str, Rule]]:
    """The file's target with everything inherited and amended, and the `rule` blocks in sight."""
    files = Files(report, load)
    _collect(file, files, (file.source.name,))
    amended = ""
    for edit in files.edits:
        amended = _edit(edit, files) or amended
    name = _chosen(file, files, amended)
    return (_merged(name, files, ()) if name else None), files.rules


def _collect(file: File, files: Files, stack: tuple[str, ...]) -> None:
    report = files.report
    report.found += file.errors
    report.broken = report.broken or file.broken
    files.read.add(file.source.name)
    items = tidy_body(file.items, "file", report)
    _language(file, items, report)
    for item in items:
        if isinstance(item, Rule):
            _declare(item.name, files.rules, item, "rule", report)
        elif item.head.text == "include":
            _include(item, files, stack)
        elif item.head.text == "target":
            name = Reader(item, report).take("word", "a name")
            if name is not None:
                _declare(name, files.targets, item, "target", report)
        elif item.head.text in ("amend", "delete"):
            files.edits.append(item)
        elif item.head.text != "hw":
            unknown(item, "file", "the file", report)


def _declare(name: Arg, table: dict[str, Statement] | dict[str, Rule], item: Item, what: str, report: Report) -> None:
    first = table.get(name.text)
    if first is not None:
        report.error("HW0102", name.span, f"there is already a {what} `{name.text}`", "", (Note("first here", first.span),))
    table.setdefault(name.text, item)  # type: ignore[arg-type]


def _language(file: File, items: tuple[Item, ...], report: Report) -> None:
    said = [item for item in items if isinstance(item, Statement) and item.head.text == "hw"]
    if not said:
        message = "the file does not say which version of the language it is in"
        report.missing(Span(file.source, 0, 0), message, f"begin it with `hw {LANGUAGE};`")
        return
    reader = Reader(said[0], report)
    version = reader.take("number", "a version: `hw 1;`")
    reader.end()
    if version is not None and version.text != str(LANGUAGE):
        report.error("HW0007", version.span, f"version {version.text} of the language is not known; this reads {LANGUAGE}")
    for again in said[1:]:
        report.error("HW0103", again.head.span, "`hw` is set twice", "", (Note("first here", said[0].span),))


def _include(item: Statement, files: Files, stack: tuple[str, ...]) -> None:
    reader = Reader(item, files.report)
    path = reader.take("string", 'the path of a file: include "std/table.hw";')
    reader.end()
    if path is None:
        return
    source = files.load(path.text, path.span.source)
    if isinstance(source, str):
        files.report.error("HW0008", path.span, f"cannot include `{path.text}`: {source}")
        files.report.broken = True
    elif source.name in stack:
        files.report.error("HW0205", path.span, f"`{path.text}` includes itself: {' -> '.join((*stack, source.name))}")
    elif source.name not in files.read:
        _collect(read(source), files, (*stack, source.name))


def _chosen(file: File, files: Files, amended: str) -> str | None:
    """The target the file is about: its own that no other of its own extends, else the one it amends."""
    own = [name for name, item in files.targets.items() if item.span.source is file.source]
    parents = {_parent(files.targets[name]) for name in own}
    leaves = [name for name in own if name not in parents] or own[:1]  # each extends another: a cycle, reported when merged
    if len(leaves) > 1:
        second = files.targets[leaves[1]]
        message = f"a file is about one target; here are {' and '.join(f'`{name}`' for name in leaves)}"
        files.report.error("HW0102", second.args[0].span, message, "put each into its own file, or let one extend the other")
    if leaves:
        return leaves[0]
    if not amended:
        files.report.missing(Span(file.source, 0, 0), "the file has no `target`", "write `target name { … }`")
    return amended or None


def _parent(target: Statement) -> str | None:
    words = target.words
    return words[2] if len(words) > 2 and words[1] == "extends" else None


def _merged(name: str, files: Files, stack: tuple[str, ...]) -> Statement:
    """The target with the statements it inherits."""
    target = files.targets[name]
    reader = Reader(target, files.report)
    reader.take("word", "a name")
    parent = reader.take("word", "the target it extends") if reader.take_word_if("extends") else None
    reader.end()
    body = target.body or ()
    if parent is None:
        return replace(target, args=target.args[:1], body=body)
    if parent.text in (*stack, name):
        files.report.error("HW0205", parent.span, f"`{name}` extends itself: {' -> '.join((*stack, name, parent.text))}")
    elif parent.text not in files.targets and files.report.broken:
        pass  # it may stand in what could not be read
    elif parent.text not in files.targets:
        help = suggestion_or_list(parent.text, set(files.targets) - {name})
        files.report.error("HW0206", parent.span, f"no target `{parent.text}` to extend", help)
    else:
        body = merge(_merged(parent.text, files, (*stack, name)).body or (), body, "target")
    return replace(target, args=target.args[:1], body=body)


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


# --- amend and delete


def _edit(edit: Statement, files: Files) -> str | None:
    """Applies one `amend` or `delete`; the name of the target it changed."""
    reader = Reader(edit, files.report)
    reference = reader.take("reference", "a path, as in `&a16.npu`")
    if reference is None:
        return None
    root, *path = reference.text.split(".")
    if root not in files.targets:
        help = suggestion_or_list(root, files.targets)
        files.report.error("HW0206", reference.span, f"no target `{root}` to {edit.head.text}", help)
        return None
    target = _merged(root, files, ())
    if edit.head.text == "amend":
        reader.end()
        changed = _amended(target, path, edit, "target", files.report)
    else:
        names = [arg for arg in edit.args[1:] if arg.kind == "word"]
        changed = _deleted(target, path, names, files.report) if path else None
    if changed is None:
        files.report.error("HW0206", reference.span, f"`{reference.span.text}` does not exist", f"there is: {_offer(target, path)}")
        return None
    files.targets[root] = changed
    return root


def _consumed(item: Item, path: list[str]) -> int:
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
    if head in ("device", "memory", "peak", "max"):
        return 2 if list(words[:1]) == path[1:2] else 0
    return 1


def _amended(item: Statement, path: list[str], edit: Statement, block: str, report: Report) -> Statement | None:
    """The statement with the body of the amend merged in at the path; None if there is no such path."""
    if not path:
        if item.body is None or block not in ("target", "device", "memory", "link", "precision", "limits"):
            return None
        return replace(item, body=merge(item.body, tidy_body(edit.body or (), block, report), block))
    for index, child in enumerate(item.body or ()):
        used = _consumed(child, path)
        if used and isinstance(child, Statement):
            changed = _amended(child, path[used:], edit, inner(block, child.head.text), report)
            if changed is not None:
                assert item.body is not None
                return replace(item, body=(*item.body[:index], changed, *item.body[index + 1 :]))
    return None


def _deleted(item: Statement, path: list[str], names: list[Arg], report: Report) -> Statement | None:
    """The statement without what the path names; None if there is no such path."""
    hits = [index for index, child in enumerate(item.body or ()) if _consumed(child, path)]
    if not hits:
        return None
    body: list[Item] = list(item.body or ())
    used = _consumed(body[hits[0]], path)
    if used < len(path):
        child = body[hits[0]]
        assert isinstance(child, Statement)
        changed = _deleted(child, path[used:], names, report)
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


def _offer(target: Statement, path: list[str]) -> str:
    """What the path could have gone on with, as far as it leads."""
    item = target
    rest = path
    while True:
        child = next((child for child in item.body or () if _consumed(child, rest)), None)
        if not isinstance(child, Statement):
            break
        rest = rest[_consumed(child, rest) :]
        item = child
    heads = [child for child in item.body or () if isinstance(child, Statement)]
    return ", ".join(dict.fromkeys((*c.words[:1],)[0] if c.head.text in ("device", "memory") else c.head.text for c in heads)) or "nothing"
