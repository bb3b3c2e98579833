"""Files that a command writes: only where there is nothing, or a regular file of the kind; whole or not at all.

A device, a FIFO, a socket or a symbolic link is never replaced and never written through: `-o /dev/null` would end as a file in its place.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from .activity import half_written
from .errors import UsageError

KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: Path) -> str:
    """What lies there if it is neither nothing nor a regular file: "a device", "a symbolic link", "a folder".

    Raises OSError where the system refuses the path, ValueError for one with a NUL."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return next((name for fits, name in KINDS if fits(mode)), "" if stat.S_ISREG(mode) else "no regular file")


def check_file_place(path: Path, what: str, suffixes: Sequence[str], option: str = "-o") -> None:
    """To be asked before the work begins. what: "the outputs"; suffixes: of such files, none for any.

    Raises UsageError where such a file cannot be written."""
    kind = " or ".join(suffixes)
    help = f"name {'an' if kind[1:2] in 'aeion' else 'a'} {kind} file with {option}" if suffixes else f"name another file with {option}"
    try:
        if lies := special_kind(path):
            raise UsageError(f"cannot write {path}: it is {lies}", help=help)
        if suffixes and path.suffix.lower() not in suffixes:
            there = "refusing to overwrite" if path.exists() else "cannot write"
            raise UsageError(f"{there} {path}: {what} {'are' if what.endswith('s') else 'is'} written as {kind}", help=help)
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: folder {path.parent} does not exist", help=help)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise UsageError(f"cannot write {path}: folder {path.parent} cannot be written", help=help)
    except (OSError, ValueError) as problem:  # a name that is too long, or holds a NUL
        raise UsageError(f"cannot write {path}: {_reason(problem)}", help=help) from None


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[Any]]:
    """A binary file that takes the place of `path` when the block ends without an exception, and vanishes otherwise; the mode of a file
    that is there stays. Raises UsageError where it cannot be written."""
    part = path.with_name(f".{path.name[:64]}.{secrets.token_hex(6)}")
    try:
        with half_written(str(part)):
            try:
                with part.open("xb") as file:
                    yield file
                if lies := special_kind(path):  # since the work began
                    raise UsageError(f"cannot write {path}: it is {lies}")
                with contextlib.suppress(FileNotFoundError):
                    part.chmod(stat.S_IMODE(path.stat().st_mode))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as problem:
        raise UsageError(f"cannot write {path}: {_reason(problem)}") from None


def write_file(path: Path, data: bytes | str) -> None:
    """The same with all that is in it."""
    with new_file(path) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


def _reason(problem: OSError | ValueError) -> str:
    return (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
