"""The parser's tables in the user's cache folder, `$XDG_CACHE_HOME/autoglmc/grammar` or `~/.cache/autoglmc/grammar`.

Building the tables takes 0.2 s, loading them 10 ms. `Lark.save` writes a pickle, and unpickling runs what the file says: so a file is
read only if it and its folder belong to this user and nobody else can write them. Any trouble means no cache, never an error. The name of
a file has the hash of everything that the tables depend on, so no old file is ever read; a file appears under its name when it is complete,
and begins with the hash of the rest, since a flipped bit may unpickle to a parser that reads another language.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark


DIGEST_BYTES = 32
"""Of the hash that a file begins with."""


def table_file(grammar: str, options: Mapping[str, object]) -> Path | None:
    """Where the tables of a grammar are kept by this version of lark and of Python; None if this user has no cache folder."""
    import lark

    home = _cache_home()
    if home is None:
        return None
    key = repr((lark.__version__, sys.version_info[:2], sorted(options.items()), grammar))
    return home / "autoglmc" / "grammar" / f"hw-{hashlib.sha256(key.encode()).hexdigest()[:32]}.lark"


def _cache_home() -> Path | None:
    """XDG_CACHE_HOME, of which the standard says that a relative path is ignored; else ~/.cache."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return Path(named)
    try:
        return Path.home() / ".cache"
    except RuntimeError:  # no HOME, and a user that the system does not know
        return None


def load_tables(file: Path) -> Lark | None:
    """The parser kept in a file; None if there is none, if others could have written it, or if it is damaged."""
    from lark import Lark

    try:
        if not _private(file.parent.lstat(), stat.S_ISDIR):
            return None
        with open(os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as opened:
            data = opened.read() if _private(os.fstat(opened.fileno()), stat.S_ISREG) else b""
        head, tables = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        return Lark.load(io.BytesIO(tables)) if head == hashlib.sha256(tables).digest() else None
    except Exception:  # a damaged pickle raises anything
        return None


def save_tables(parser: Lark, file: Path) -> None:
    """Keeps a parser in a file of a folder that only this user can write; does nothing where that cannot be done."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(file.parent.lstat(), stat.S_ISDIR):
            return
        tables = io.BytesIO()
        parser.save(tables)
        handle, made = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # for this user's eyes only
        try:
            with open(handle, "wb") as opened:
                opened.write(hashlib.sha256(tables.getvalue()).digest() + tables.getvalue())
            os.replace(made, file)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise


def _private(status: os.stat_result, kind: Any) -> bool:
    """Whether it is of a kind, belongs to this user and is writable by nobody else. Windows keeps profiles apart by other means."""
    user = getattr(os, "geteuid", None)
    return kind(status.st_mode) and (user is None or (status.st_uid == user() and not status.st_mode & 0o022))
