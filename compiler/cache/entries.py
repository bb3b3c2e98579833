"""Entries of a cache: written whole or not at all, dated by their last use, removed the oldest first.

Several processes may do all of this at once. An entry takes its name, and loses it, in one step; what a process reads while another
removes it stays readable where it is a file, and entries in use within SPARED seconds are not removed to make room.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNFINISHED = ".new-"
"""Begins the name of what is being written; such names are no entries."""
REMOVED = ".old-"
ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished entry is of a process that was killed."""
SPARED = 60.0
"""Seconds since its last use in which an entry is not removed to make room: another process may be about to open it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of a cache."""

    path: Path
    bytes: int
    used: float
    """Seconds since the epoch."""


def entries(folder: Path) -> tuple[Entry, ...]:
    """The entries, the one used longest ago first; none where the folder is missing."""
    found = (_entry(path) for path in _listed(folder) if not path.name.startswith((UNFINISHED, REMOVED)))
    return tuple(sorted((entry for entry in found if entry), key=lambda entry: (entry.used, entry.path.name)))


def mark_used(path: Path) -> None:
    """Dates the entry now."""
    with contextlib.suppress(OSError):
        os.utime(path)


def write_entry(path: Path, data: bytes) -> bool:
    """Keeps `data` under the path, for this user's eyes only; a reader sees all of it or what was there before. False where the place
    cannot be written: a cache is never an error."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.replace(made, path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError:
        return False
    return True


def keep_below(folder: Path, limit: int, spared: float = SPARED) -> int:
    """Removes entries, the one used longest ago first, until the rest has at most `limit` bytes. Returns how many were removed.

    Entries used within `spared` seconds stay, so that more than `limit` may be left for a moment. What killed processes left goes too."""
    remove_abandoned(folder)
    kept = entries(folder)
    total, removed, now = sum(entry.bytes for entry in kept), 0, time.time()
    for entry in kept:
        if total <= limit or now - entry.used < spared:
            break
        removed += remove(entry.path)
        total -= entry.bytes
    return removed


def remove_abandoned(folder: Path) -> None:
    """Removes what killed processes left."""
    for path in _listed(folder):
        with contextlib.suppress(OSError):
            if path.name.startswith(REMOVED) or (path.name.startswith(UNFINISHED) and time.time() - path.lstat().st_mtime > ABANDONED):
                delete(path)


def remove(path: Path) -> bool:
    """Removes an entry, which has lost its name before its first byte goes. False where another process was faster, or it may not be."""
    aside = path.with_name(f"{REMOVED}{secrets.token_hex(8)}")
    try:
        os.replace(path, aside)
    except OSError:
        return False
    delete(aside)
    return True


def delete(path: Path) -> None:
    """A file, or a folder with all that is in it; what cannot be deleted stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _listed(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from list(folder.iterdir())


def _entry(path: Path) -> Entry | None:
    """None for what vanished meanwhile."""
    try:
        status = path.lstat()
        inside = path.rglob("*") if stat.S_ISDIR(status.st_mode) else ()
        size = status.st_size if not stat.S_ISDIR(status.st_mode) else sum(inner.lstat().st_size for inner in inside)
    except OSError:
        return None
    return Entry(path, size, status.st_mtime)
