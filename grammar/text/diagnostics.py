"""Messages about a .hw file: where (a span of a source), how bad, what, and what to do. The only code that draws carets."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ...targets.origin import Origin

Severity = Literal["error", "warning", "info"]
MOST_SHOWN = 200
"""Messages about one file; nobody reads more before fixing some."""


@dataclass(frozen=True, slots=True)
class Source:
    """One text with the name to print for it."""

    name: str
    text: str
    starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0, *(index + 1 for index, character in enumerate(self.text) if character == "\n")]
        object.__setattr__(self, "starts", tuple(starts))

    def place(self, offset: int) -> tuple[int, int]:
        """1-based line and column of an offset."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line without its end."""
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r")


@dataclass(frozen=True, slots=True)
class Span:
    """start..end (end not included) of a source's text."""

    source: Source
    start: int
    end: int

    @property
    def origin(self) -> Origin:
        line, column = self.source.place(self.start)
        return Origin(self.source.name, line, column)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other, which is in the same source."""
        return Span(self.source, self.start, max(self.end, other.end))


LONGEST_WORD, LONGEST_TEXT = 200, 4_000
"""Characters of a message: a file may repeat a name of a megabyte."""


def clipped(text: str) -> str:
    """The text with words, and itself, no longer than a person reads: the two ends of what is longer, and how much is left out."""
    if len(text) <= LONGEST_WORD:
        return text
    short = re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda word: _ends(word[0], LONGEST_WORD), text)
    return short if len(short) <= LONGEST_TEXT else _ends(short, LONGEST_TEXT)


def _ends(text: str, width: int) -> str:
    half = width // 2 - 16
    return f"{text[:half]}… ({len(text) - 2 * half:,} more) …{text[-half:]}"


@dataclass(frozen=True, slots=True)
class Note:
    """An extra remark, with the place it is about if there is one."""

    message: str
    span: Span | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clipped(self.message))


@dataclass(frozen=True, slots=True)
class Diagnostic:
    code: str
    severity: Severity
    span: Span
    message: str
    help: str = ""
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clipped(self.message))
        object.__setattr__(self, "help", clipped(self.help))


class HwError(Exception):
    """A .hw file with at least one error; `diagnostics` holds all of them, sorted, warnings included."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n".join(render(diagnostic) for diagnostic in self.diagnostics).rstrip("\n")


def render(diagnostic: Diagnostic) -> str:
    """The message as text: place, severity, code; the source line; carets; help and notes; ends with a blank line."""
    where = diagnostic.span.origin
    head = f"{where.file}:{where.line}:{where.column}: {diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"
    lines = [head, *_quote(diagnostic.span)]
    margin = " " * 6
    if diagnostic.help:
        lines.append(f"{margin}= help: {diagnostic.help}")
    for note in diagnostic.notes:
        at = f" ({note.span.origin})" if note.span else ""
        lines.append(f"{margin}= note: {note.message}{at}")
    return "\n".join(lines) + "\n"


def _quote(span: Span) -> list[str]:
    """The line of the span's start and carets under it, both with tabs as one blank so that they stay aligned."""
    line, column = span.source.place(span.start)
    text = span.source.line(line)
    if not text.strip():
        return []
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    shown, shift = _window(text.replace("\t", " "), column - 1)
    return [f"{line:5d} | {shown}", f"{'':5} | {' ' * (column - 1 - shift)}{'^' * min(width, max(1, len(shown) - column + 1 + shift))}"]


def _window(text: str, column: int, width: int = 160) -> tuple[str, int]:
    """At most `width` characters of a long line around a column, and how many were cut in front."""
    if len(text) <= width:
        return text, 0
    start = max(0, min(column - width // 2, len(text) - width))
    return text[start : start + width], start


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The fields that `render` prints, for an editor; lines and columns are 1-based, the end column is not included."""
    source = diagnostic.span.source
    line, column = source.place(diagnostic.span.start)
    end_line, end_column = source.place(diagnostic.span.end)
    notes = [{"message": note.message, "at": str(note.span.origin) if note.span else None} for note in diagnostic.notes]
    return {
        "file": source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "notes": notes,
    }


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """All diagnostics as one JSON array."""
    return json.dumps([as_json(diagnostic) for diagnostic in diagnostics], indent=2, ensure_ascii=False)


def note_includes(diagnostics: Iterable[Diagnostic], included: Mapping[str, Span]) -> list[Diagnostic]:
    """The same, each that points into an included file with a note of the `include`, and of the one that brought that in."""
    done: list[Diagnostic] = []
    for diagnostic in diagnostics:
        notes: list[Note] = []
        span: Span | None = included.get(diagnostic.span.source.name)
        while span is not None and len(notes) <= len(included):
            notes.append(Note("included here", span))
            span = included.get(span.source.name)
        done.append(replace(diagnostic, notes=(*diagnostic.notes, *notes)) if notes else diagnostic)
    return done


def tidy(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by file and place, each (code, place, message) once."""
    unique = {(d.span.source.name, d.span.start, d.code, d.message): d for d in reversed(list(diagnostics))}
    return tuple(unique[key] for key in sorted(unique))


def first_of(found: tuple[Diagnostic, ...], stopped: bool, source: Source) -> tuple[Diagnostic, ...]:
    """At most MOST_SHOWN of the messages, errors before warnings, and at the end of the last file HW0010 that says what is not shown.

    `stopped`: the check of `source` ended early, so there may be more than were found."""
    if len(found) <= MOST_SHOWN and not stopped:
        return found
    severities: tuple[Severity, ...] = ("error", "warning", "info")
    ranked = sorted(range(len(found)), key=lambda index: severities.index(found[index].severity))
    shown, hidden = sorted(ranked[:MOST_SHOWN]), ranked[MOST_SHOWN:]
    worst = "error" if stopped else found[hidden[0]].severity
    parts = [f"{len(hidden):,} more messages are not shown"] if hidden else []
    parts += ["the rest of the file was not checked"] if stopped else []
    last = found[-1].span.source if found else source
    end = Span(last, len(last.text), len(last.text))
    return (*(found[index] for index in shown), Diagnostic("HW0010", worst, end, " and ".join(parts), "fix the messages above first"))
