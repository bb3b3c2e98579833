"""What the command line prints if something goes wrong, as text or as JSON, and with which exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...activity import lasting_folder
from ...errors import UserError
from ...report.printable import printable
from .explain_hint import explain_hint

if TYPE_CHECKING:
    from ....targets.model import Target

INTERNAL = 3
NOT_VERIFIED = 4
"""Made, or right as far as it could be judged, but not verified."""
INTERRUPTED = 130
ENVIRONMENT = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENAMETOOLONG}
)
"""Operating system errors that are the machine's state, or of a name that was given, and not a fault of autoglmc."""
PACKAGES = ("autoglmc", "onnx", "onnxruntime", "onnxsim", "ortools", "numpy", "protobuf")


def answer_failure(problem: Exception, arguments: Sequence[str], as_json: bool, target: Target | None = None) -> int:
    """Prints what happened, on stderr or as JSON on stdout, and returns the exit code. Lines of the target at which the error is are
    quoted."""
    if isinstance(problem, BrokenPipeError):
        # the reader of our output is gone, and flushing at exit would fail again
        sys.stdout = None
        return 1
    user = _as_output_error(problem) or _as_user_error(problem)
    if user is not None:
        return say(_quoted(str(user), target), user.as_json(), user.exit_code, as_json)
    diagnostics = _as_diagnostics(problem)
    if diagnostics is not None:
        text = f"{problem}\n\n{explain_hint(found['code'] for found in diagnostics)}"
        return say(text, {"kind": "target", "exit_code": 1, "diagnostics": diagnostics}, 1, as_json)
    report = _save_report(problem, arguments)
    error = UserError(
        f"autoglmc failed: {type(problem).__name__}: {problem}", help=f"this is a fault in autoglmc; please report it with {report}"
    )
    return say(str(error), {**error.as_json(), "kind": "internal", "exit_code": INTERNAL, "report": report}, INTERNAL, as_json)


def say(text: str, facts: dict[str, Any], code: int, as_json: bool) -> int:
    """Prints a message, or the facts of it as JSON, as far as it can be printed; returns the code."""
    import click

    if as_json and sys.stdout is not None:
        import json

        try:
            click.echo(json.dumps({"error": facts}, indent=2, ensure_ascii=False, default=str))
            return code
        except (OSError, ValueError):  # stdout cannot be written: a full disk, a closed pipe
            sys.stdout = None
    try:
        click.echo(printable(text, keep="\n\t"), err=True)
    except (OSError, ValueError):
        sys.stderr = None
    return code


def flush_output() -> None:
    """Writes out what was printed. Raises UserError where stdout cannot be written: then nothing is tried again at the end."""
    try:
        if sys.stdout is not None and not sys.stdout.closed:  # the language server closes it
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        sys.stdout = None
        raise UserError(f"cannot write to stdout: {problem.strerror or problem}") from None


def _quoted(text: str, target: Target | None) -> str:
    """The message with the lines of .hw files that its place names: below the place, as a compiler quotes."""
    if target is None:
        return text
    from ...report.quote import source_of

    source = source_of(target)
    quotes = [[f"    {quote}" for quote in source.quotes(line)] if line.startswith("  at: ") else [] for line in text.split("\n")]
    return "\n".join(part for line, below in zip(text.split("\n"), quotes, strict=True) for part in (line, *below))


def _as_user_error(problem: Exception) -> UserError | None:
    if isinstance(problem, UserError):
        return problem
    if "autoglmc.passes.mapped.mapped_tensor" in sys.modules:  # which raises it; a command that fails early does not wait for imports
        from ...load.source import weights_gone

        if (gone := weights_gone(problem)) is not None:
            return gone
    if isinstance(problem, MemoryError):
        return UserError("not enough memory", help="close other programs, or compile on a larger machine")
    if isinstance(problem, OSError) and problem.errno in ENVIRONMENT:
        words = problem.strerror or str(problem)
        return UserError(words if problem.filename is not None else f"cannot write: {words}", where=str(problem.filename or ""))
    return None


def _as_output_error(problem: Exception) -> UserError | None:
    """Where printing failed: then so does writing out the rest."""
    if isinstance(problem, OSError) and problem.filename is None:
        try:
            flush_output()
        except UserError as found:
            return found
    return None


def _as_diagnostics(problem: Exception) -> list[dict[str, Any]] | None:
    """The errors of a .hw file, as data; None for any other exception."""
    from ....grammar.text.diagnostics import HwError, as_json

    return [as_json(found) for found in problem.diagnostics] if isinstance(problem, HwError) else None


def _save_report(problem: Exception, arguments: Sequence[str]) -> str:
    """Writes what a maintainer needs into a new file of the temp folder; returns its path, or why there is none."""
    import platform
    import shlex
    import tempfile
    import traceback
    from importlib import metadata

    versions = [f"python {platform.python_version()} on {platform.platform()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} is not installed")
    text = "\n".join(["autoglmc " + shlex.join(arguments), "", *versions, "", *traceback.format_exception(problem)])
    try:
        place = lasting_folder()
        with tempfile.NamedTemporaryFile("w", prefix="autoglmc-report-", suffix=".txt", delete=False, encoding="utf-8", dir=place) as file:
            file.write(text)
            return str(Path(file.name))
    except OSError as trouble:
        return f"the traceback (it could not be saved: {trouble.strerror})"
