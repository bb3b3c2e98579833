"""Files to one target as a syntax tree: include, extends (single chain, the child wins), tables that devices inherit, amend, delete.

Merging is by statement. What may stand once (a number, a `peak` of a dtype, a limit) the child replaces; `supports`, `deny` and
`kernel` add up, since two rules for one operator are OR-ed and `deny` beats both; the child's `rewrite` lines come first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ..text.diagnostics import Note, Source, Span
from ..text.syntax import Arg, File, Item, Rule, Statement, read
from ..words.names import suggestion_or_list
from ..words.reader import Reader, Report
from ..words.schema import tidy_body, unknown
from .amend import amended, deleted, merge, offer
from .include_help import did_you_mean_file, include_of_its_file, where_it_is
from .tables import Tables

Load = Callable[[str, Source], Source | str]
"""(path as written, the source that includes it) to the included source, or why it cannot be read."""
LANGUAGE = 1
KEPT_BYTES = 1 << 16
"""Included files up to this size are read once a process: several targets include the same tables."""


@dataclass(slots=True)
class Files:
    """Everything the file and its includes declare."""

    report: Report
    load: Load
    tables: Tables
    targets: dict[str, Statement] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    deploys: dict[str, Statement] = field(default_factory=dict)
    edits: list[Statement] = field(default_factory=list)
    read: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Resolved:
    target: Statement | None
    rules: dict[str, Rule]
    """The `rule` blocks in sight."""
    tables: Tables
    own_tables: tuple[Span, ...]
    """The names of the tables that the file itself declares."""
    deploy: Statement | None = None
    """The file's own `deploy` block."""


def resolve(file: File, load: Load, report: Report) -> Resolved:
    """The file's target with everything inherited and amended; None for a file of tables."""
    files = Files(report, load, Tables(report))
    _collect(file, files, (file.source.name,))
    parents = frozenset(filter(None, map(_parent, files.targets.values())))
    changed = ""
    for edit in sorted(files.edits, key=lambda edit: not _of_table(edit, files)):  # tables first: targets are made of them
        changed = _edit(edit, files) or changed
    name = _chosen(file, files, changed, parents)
    target = _merged(name, files, ()) if name else None
    return Resolved(target, files.rules, files.tables, files.tables.names(file.source), _deploy(file, files))


def _deploy(file: File, files: Files) -> Statement | None:
    own = [item for item in files.deploys.values() if item.span.source is file.source]
    for second in own[1:]:
        note = Note("first here", own[0].args[0].span)
        files.report.error("HW0102", second.args[0].span, "a file has one `deploy` block", "put each into its own file", (note,))
    return own[0] if own else None


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
        elif item.head.text == "deploy":
            name = Reader(item, report).take("word", "a name, as in `deploy agent { … }`")
            if name is not None:
                _declare(name, files.deploys, item, "deploy", report)
        elif item.head.text == "table":
            _table(item, files)
        elif item.head.text in ("amend", "delete"):
            files.edits.append(item)
        elif item.head.text != "hw":
            unknown(item, "file", "the file", report)


def _table(item: Statement, files: Files) -> None:
    reader = Reader(item, files.report)
    name = reader.take("word", "a name")
    reader.end()
    if name is None:
        return
    if item.body is None:
        files.report.error("HW0001", item.head.span, "`table` needs a block of what the runtime supports")
    _declare(name, files.tables.declared, item, "table", files.report)
    if files.tables.declared[name.text] is item:
        files.tables.declare(name.text, item)


def _declare(name: Arg, table: dict[str, Statement] | dict[str, Rule], item: Item, what: str, report: Report) -> None:
    first = table.get(name.text)
    if first is not None:
        report.error("HW0102", name.span, f"there is already a {what} `{name.text}`", "", (Note("first here", first.span),))
    table.setdefault(name.text, item)  # type: ignore[arg-type]


def _language(file: File, items: tuple[Item, ...], report: Report) -> None:
    versions = [item for item in items if isinstance(item, Statement) and item.head.text == "hw"]
    if not versions:
        message = "the file does not state its language version"
        report.missing(Span(file.source, 0, 0), message, f"begin it with `hw {LANGUAGE};`")
        return
    reader = Reader(versions[0], report)
    version = reader.take("number", "a version: `hw 1;`")
    reader.end()
    if version is not None and version.text != str(LANGUAGE):
        report.error("HW0007", version.span, f"language version {version.text} is not supported; this compiler reads version {LANGUAGE}")
    for again in versions[1:]:
        report.error("HW0103", again.head.span, "`hw` is set twice", "", (Note("first here", versions[0].span),))


def _include(item: Statement, files: Files, stack: tuple[str, ...]) -> None:
    reader = Reader(item, files.report)
    path = reader.take("string", 'the path of a file: include "std/table.hw";')
    reader.end()
    if path is None:
        return
    source = files.load(path.text, path.span.source)
    if isinstance(source, str):
        help = did_you_mean_file(path.text, path.span.source) if source == "no such file" else ""
        files.report.error("HW0008", path.span, f"cannot include `{path.text}`: {source}", help)
        files.report.broken = True
    elif source.name in stack:
        files.report.error("HW0205", path.span, f"`{path.text}` includes itself: {' -> '.join((*stack, source.name))}")
        files.report.assumed.add("target")
    elif source.name not in files.read:
        files.report.included[source.name] = path.span
        _collect((_read_once if len(source.text) <= KEPT_BYTES else read)(source), files, (*stack, source.name))


_read_once = lru_cache(maxsize=16)(read)
"""Keyed by name and text, so that a file that changed is read again."""


def _chosen(file: File, files: Files, amended: str, parents: frozenset[str]) -> str | None:
    """The target the file is about: its own that no other of its own extends, else the one it amends."""
    own = [name for name, item in files.targets.items() if item.span.source is file.source]
    leaves = [name for name in own if name not in parents] or own[:1]  # each extends another: a cycle, reported when merged
    if len(leaves) > 1:
        second = files.targets[leaves[1]]
        message = f"a file describes one target; this one has {' and '.join(f'`{name}`' for name in leaves)}"
        files.report.error("HW0102", second.args[0].span, message, "put each into its own file, or let one extend the other")
    if leaves:
        return leaves[0]
    deployed = any(item.span.source is file.source for item in files.deploys.values())
    if not amended and not deployed and not files.tables.names(file.source):
        _no_target(file, files, parents)
    return amended or None


def _no_target(file: File, files: Files, parents: frozenset[str]) -> None:
    read = sorted(name for name in files.targets if name not in parents)
    message, help = "the file has no `target`", "write `target name { … }`"
    if read:
        message += f" of its own; it includes {' and '.join(f'`{name}`' for name in read[:5])}"
        help = f"write `target mine extends {read[0]} {{ … }}`, or `amend &{read[0]} {{ … }}`"
    files.report.missing(Span(file.source, 0, 0), message, help, "target")


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
    if reader.failed:  # the head of a target may have meant to extend one, which then lacks nothing
        files.report.broken = True
    body = files.tables.expand(target.body or (), "target")
    if parent is None:
        return replace(target, args=target.args[:1], body=body)
    if parent.text in (*stack, name):
        files.report.error("HW0205", parent.span, f"`{name}` extends itself: {' -> '.join((*stack, name, parent.text))}")
        files.report.assumed.update(("onnx", "memory", "device"))  # what a parent may have
    elif parent.text not in files.targets and files.report.broken:
        pass  # it may stand in what could not be read
    elif parent.text not in files.targets:
        others = tuple(sorted(set(files.targets) - {name}))
        help = where_it_is(parent.text, "", others) or suggestion_or_list(parent.text, others) or include_of_its_file()
        files.report.error("HW0206", parent.span, f"no target `{parent.text}` to extend", help)
        files.report.broken = True
    else:
        body = merge(_merged(parent.text, files, (*stack, name)).body or (), body, "target")
    return replace(target, args=target.args[:1], body=body)


def _of_table(edit: Statement, files: Files) -> bool:
    return any(arg.kind == "reference" and arg.text.split(".")[0] in files.tables.declared for arg in edit.args[:1])


def _layer(items: tuple[Item, ...], block: str, files: Files) -> tuple[Item, ...]:
    return files.tables.expand(tidy_body(items, block, files.report), block)


def _edit(edit: Statement, files: Files) -> str | None:
    """Applies one `amend` or `delete`; the name of the target it changed."""
    reader = Reader(edit, files.report)
    reference = reader.take("reference", "a path, as in `&a16.npu`")
    if reference is None:
        return None
    root, *path = reference.text.split(".")
    table = files.tables.declared.get(root) if root not in files.targets else None
    if table is None and root not in files.targets:
        declared = (*files.targets, *files.tables.declared)
        known = where_it_is(root, "", declared) or where_it_is(root, "std/", declared)
        help = known or suggestion_or_list(f"&{root}", [f"&{name}" for name in declared])
        files.report.error("HW0206", reference.span, f"no target `{root}` to {edit.head.text}", help)
        return None
    old, block = table or _merged(root, files, ()), "table" if table else "target"
    if edit.head.text == "amend":
        reader.end()
        changed = amended(old, path, edit, block, lambda items, block: _layer(items, block, files))
    else:
        names = [arg for arg in edit.args[1:] if arg.kind == "word"]
        changed = deleted(old, path, names, block, files.report) if path else None
    if changed is None:
        files.report.error("HW0206", reference.span, f"`{reference.span.text}` does not exist", f"it has: {offer(old, path, block)}")
        return None
    if table:
        files.tables.declare(root, changed)
        return None
    files.targets[root] = changed
    return root
