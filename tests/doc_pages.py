"""What a page of documentation asks the reader to type: commands, Python, files and edits, in the order of the page.

A comment before a fenced block or a paragraph says more about it:

    <!-- files: model.onnx=tests/models/bert_tiny.onnx@batch=1,seq=32 -->   what the reader has; after @, sizes of the model's dims
    <!-- file: board.hw -->         the next block is that file
    <!-- edit: passes/library.py --> the next block is a diff of that file, without line numbers
    <!-- not run: REASON -->        commands of the next block or paragraph are not run by the test
    <!-- needs: MODULE -->          they are run where that module is installed

Commands are the `$` lines of a ```console block; `# exits with N` behind one states its exit code. What is shown below a command is what it
prints, up to a line `…`; in a ```console times-vary block numbers may differ. Blocks of ```python are run as scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "editors/*/*.md", "examples/**/*.md")
    for path in sorted(ROOT.glob(pattern))
)
DIRECTIVE = re.compile(r"^<!-- (files|file|edit|not run|needs): (.+?) -->$")
SPAN = re.compile(r"(?<!`)`(autoglmc\s[^`]+)`(?!`)")
BARE = re.compile(r"^\s*(?:\$ +)?(autoglmc\s.*)$")
EXIT = re.compile(r"\s+# exits with (\d+)$")
Kind = Literal["files", "file", "edit", "python", "command", "mention", "stray"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do. `line` is where it begins, `shown` the lines of output below a command, `end` the line behind those, all from 0."""

    kind: Kind
    text: str
    line: int
    name: str = ""
    """Of a file or edit: its path."""
    not_run: str = ""
    """The reason; empty where it is run."""
    needs: str = ""
    shown: tuple[str, ...] = ()
    end: int = 0
    exits: int = 0
    times_vary: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """What the comments before a block say about it."""

    name: str = ""
    edit: str = ""
    not_run: str = ""
    needs: str = ""


def items(page: Path) -> tuple[Item, ...]:
    """Everything on a page that can be typed, written or edited, in order."""
    return tuple(_items(page.read_text(encoding="utf-8").split("\n")))


def _items(lines: Sequence[str]) -> Iterator[Item]:
    marks, at = Marks(), 0
    while at < len(lines):
        line = lines[at]
        if found := DIRECTIVE.match(line):
            key, value = found.groups()
            if key == "files":
                yield Item("files", value, at)
            else:
                field = {"file": "name", "not run": "not_run"}.get(key, key)
                marks = replace(marks, **{field: value})
            at += 1
        elif line.lstrip().startswith("```"):
            end = next((k for k in range(at + 1, len(lines)) if lines[k].strip() == "```"), len(lines))
            yield from _fence(line.strip()[3:], lines[at + 1 : end], at + 1, marks)
            marks, at = Marks(), end + 1
        elif not line.strip():
            at += 1
        else:
            end = next((k for k in range(at, len(lines)) if not lines[k].strip() or lines[k].lstrip().startswith("```")), len(lines))
            yield from _paragraph(lines[at:end], at, marks)
            marks, at = Marks(), end


def _fence(info: str, lines: Sequence[str], at: int, marks: Marks) -> Iterator[Item]:
    text = "\n".join(lines) + "\n"
    if marks.name:
        yield Item("file", text, at, name=marks.name)
    elif marks.edit:
        yield Item("edit", text, at, name=marks.edit)
    elif info == "python":
        yield Item("python", text, at, not_run=marks.not_run, needs=marks.needs)
    elif info.split()[:1] == ["console"]:
        yield from _console(lines, at, marks, "times-vary" in info)
    else:
        yield from _strays(lines, at, marks)


def _console(lines: Sequence[str], at: int, marks: Marks, times_vary: bool) -> Iterator[Item]:
    starts = [k for k, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = start
        while lines[last].endswith("\\"):
            last += 1
        typed = "\n".join(lines[start : last + 1])[2:]
        code = EXIT.search(typed)
        shown = tuple(lines[last + 1 : end])
        yield Item(
            "command",
            EXIT.sub("", typed),
            at + last + 1,
            not_run=marks.not_run,
            needs=marks.needs,
            shown=shown,
            end=at + end,
            exits=int(code.group(1)) if code else 0,
            times_vary=times_vary,
        )


def _strays(lines: Sequence[str], at: int, marks: Marks) -> Iterator[Item]:
    """Commands in a block that is not ```console: they must be marked as not run."""
    for k, line in enumerate(lines):
        if found := BARE.match(line):
            yield Item("stray", found.group(1), at + k, not_run=marks.not_run)


def _paragraph(lines: Sequence[str], at: int, marks: Marks) -> Iterator[Item]:
    if all(line.startswith("    ") for line in lines):
        yield from _strays(lines, at, marks)
        return
    for found in SPAN.finditer("\n".join(lines)):
        yield Item("mention", " ".join(found.group(1).split()), at, not_run=marks.not_run, needs=marks.needs)
