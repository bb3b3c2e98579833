"""The .hw language: `load_target(path, rules)` gives a `Target` or raises `HwError` with every message about the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..targets.model import Target
from ..targets.rule_spec import RuleFacts
from .analyse import Result, analyse
from .files.resolve import Resolved
from .text.diagnostics import Diagnostic, HwError, Source, Span, as_json, render, to_json
from .text.syntax import MAX_BYTES

__all__ = [
    "Diagnostic", "HwError", "Resolved", "Result", "Source", "Span", "analyse_file", "analyse_text", "as_json", "load_source",
    "load_target", "parse_target", "read_source", "render", "to_json",
]  # fmt: skip

STOCK = Path(__file__).resolve().parent.parent / "targets"


def load_target(path: Path, rules: Sequence[RuleFacts] = (), warn: Callable[[Diagnostic], None] | None = None) -> Target:
    """The target that a .hw file describes. `warn` gets each warning.

    Raises HwError with all messages of the file if one is an error; OSError if the file cannot be opened.
    """
    return _target(analyse_file(path, rules), warn)


def parse_target(text: str, name: str, rules: Sequence[RuleFacts] = (), warn: Callable[[Diagnostic], None] | None = None) -> Target:
    """The target that a text describes; `name` stands for the file in messages, and includes are looked for beside it."""
    return _target(analyse_text(text, name, rules), warn)


def analyse_file(path: Path, rules: Sequence[RuleFacts] = (), strict: bool = False) -> Result:
    """Target and all diagnostics of a file, warnings too, without raising for what it holds; `strict` adds HW0601 and HW0602."""
    source, trouble = _read(path, str(path))
    return trouble or analyse(source, rules, load_source, strict)


def analyse_text(text: str, name: str, rules: Sequence[RuleFacts] = (), strict: bool = False) -> Result:
    """Like `analyse_file`, of a text."""
    return analyse(Source(name, text), rules, load_source, strict)


def read_source(path: Path) -> Source:
    """The text of a file under its name. Raises HwError if it is too large or no text, OSError if it cannot be opened."""
    source, trouble = _read(path, str(path))
    if trouble:
        raise HwError(trouble.diagnostics)
    return source


def _target(result: Result, warn: Callable[[Diagnostic], None] | None) -> Target:
    if result.target is None:
        raise HwError(result.diagnostics or (_no_target(result),))
    for diagnostic in result.diagnostics if warn else ():
        warn(diagnostic)  # type: ignore[misc]
    return result.target


def _no_target(result: Result) -> Diagnostic:
    """A file may do without one."""
    if result.deployment is not None:
        origin = result.deployment.models[0].origin
        span = Span(Source(origin.file, ""), 0, 0)
        help = f"it is for target '{result.deployment.target}': autoglmc --deploy {origin.file}"
        return Diagnostic("HW0104", "error", span, f"the file holds the deployment `{result.deployment.name}` and no target", help)
    first = result.tables[0]
    help = f"include this file in a target's file, and write `inherit {first.text};` in a device"
    return Diagnostic("HW0104", "error", first, f"the file holds the table `{first.text}` and no target", help)


def _read(path: Path, name: str) -> tuple[Source, Result | None]:
    """The text of a file, never more than a little over the cap; or the diagnostic that refuses it."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    empty = Source(name, "")
    if len(raw) > MAX_BYTES:
        return empty, _refused(empty, "HW0005", f"the file is larger than the limit of {MAX_BYTES:,} bytes", "")
    try:
        return Source(name, raw.decode("utf-8-sig").replace("\r\n", "\n")), None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return empty, _refused(empty, "HW0006", f"not UTF-8 text: invalid byte at offset {error.start}, line {line}", "")


def _refused(source: Source, code: str, message: str, help: str) -> Result:
    return Result(None, (Diagnostic(code, "error", Span(source, 0, 0), message, help),))


def load_source(written: str, source: Source) -> Source | str:
    """An included file: beside the including one, else a stock target."""
    if written.startswith("/") or ".." in Path(written).parts:
        return "only a file beside this one or a stock file can be included"
    for folder, name in ((Path(source.name).parent, str(Path(source.name).parent / written)), (STOCK, written)):
        path = folder / written
        try:
            if not path.is_file():
                continue
            included, trouble = _read(path, name)
        except (OSError, ValueError) as error:  # a name too long, or with a NUL
            return getattr(error, "strerror", None) or str(error)
        return trouble.diagnostics[0].message if trouble else included
    return "no such file"
