"""Entries that say what they hold: size and sha256, compared when they are read. Cut, changed, exchanged or foreign ones are as good as
none, and go.

A file entry begins with a line that has the digest of its name and the rest. What a tool made, a file or a folder, lies beside such a file:
an entry of that kind is a folder with both. Only what this user wrote, and nobody else could write, is read; symbolic links are not
followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..activity import half_written
from .entries import UNFINISHED, delete, mark_used, remove, write_entry

HEAD = b"autoglmc "
HEAD_BYTES = len(HEAD) + 64 + 1
ANOTHER_USER = "it belongs to another user"
DIGESTS, MADE = "digests", "made"
"""In the folder of an entry that holds what a tool made."""


def keep_bytes(path: Path, data: bytes) -> bool:
    """Keeps `data` under the path with its digest. False where the place cannot be written, or others could write there."""
    return not untrusted(path.parent) and write_entry(path, _head(path.name, data) + data)


def kept_bytes(path: Path) -> bytes | None:
    """What was kept there, and dates the entry; None where there is none that is whole and ours. One that is not goes."""
    if untrusted(path.parent) or not os.path.lexists(path):
        return None
    with contextlib.suppress(OSError):
        data = _read(path)
        if data[:HEAD_BYTES] == _head(path.name, data[HEAD_BYTES:]):
            mark_used(path)
            return data[HEAD_BYTES:]
    remove(path)
    return None


def _head(name: str, data: bytes) -> bytes:
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(data)
    return HEAD + digest.hexdigest().encode() + b"\n"


def keep_made(path: Path, made: Path) -> str:
    """Keeps a copy of the file or folder `made` under the path; "" or why that cannot be done. A reader sees all of it, or what was there
    before."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if problem := untrusted(path.parent):
            return problem
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=UNFINISHED, ignore_cleanup_errors=True) as work, half_written(work):
            entry = Path(work) / path.name
            entry.mkdir(mode=0o700)
            _copy(made, entry / MADE)
            if not keep_bytes(entry / DIGESTS, json.dumps([path.name, _digests(made)]).encode()):
                return "it cannot be written"
            _take_place(entry, path)
    except OSError as error:
        return f"{error.strerror or error}"
    return ""


def _take_place(entry: Path, path: Path) -> None:
    try:
        os.replace(entry, path)
    except OSError:  # a folder cannot replace another: a parallel run was faster, or what is there is of no use
        remove(path)
        with contextlib.suppress(OSError):
            os.replace(entry, path)


def kept_made(path: Path, place: Path) -> bool:
    """Copies what was kept under the path to `place`, and dates the entry. False where there is nothing that is whole and ours, and then
    nothing is at `place`. What is not whole goes."""
    if untrusted(path.parent) or not os.path.lexists(path):
        return False
    with contextlib.suppress(OSError, ValueError):
        if not untrusted(path, links=False):
            listed = json.loads(kept_bytes(path / DIGESTS) or b"null")
            _copy(path / MADE, place)
            if listed == [path.name, _digests(place)]:
                mark_used(path)
                return True
    delete(place)
    remove(path)
    return False


def untrusted(folder: Path, links: bool = True) -> str:
    """Why what lies in a folder may be of somebody else; "" for a folder of this user that nobody else can write, and for none.

    links: the folder may be reached through a symbolic link of this user."""
    try:
        status = folder.stat() if links else folder.lstat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{error.strerror or error}"
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a folder"
    return _foreign(status)


def _foreign(status: os.stat_result) -> str:
    """Windows keeps the profiles of users apart by other means."""
    user = getattr(os, "geteuid", None)
    if user is not None and status.st_uid != user():
        return ANOTHER_USER
    return "other users can write it (chmod go-w)" if user is not None and status.st_mode & 0o022 else ""


def _read(path: Path) -> bytes:
    """Raises OSError for anything but a regular file of this user."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode) or _foreign(status):
            raise PermissionError(path)
        return opened.read()


def _copy(source: Path, destination: Path) -> None:
    """A file or folder. Raises OSError where it holds anything but regular files and folders of this user."""
    for path in (source, *(sorted(source.rglob("*")) if source.is_dir() and not source.is_symlink() else ())):
        status, copied = path.lstat(), destination / path.relative_to(source)
        if _foreign(status) == ANOTHER_USER:
            raise PermissionError(path)
        if stat.S_ISDIR(status.st_mode):
            copied.mkdir()
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(path, copied, follow_symlinks=False)
        else:
            raise PermissionError(path)


def _digests(made: Path) -> Mapping[str, list[object]]:
    """sha256 and size of every file, by its path; of a file itself, by "."."""
    return {name: [_sha256(path), path.stat().st_size] for name, path in sorted(_files(made))}


def _files(made: Path) -> Iterator[tuple[str, Path]]:
    if not made.is_dir():
        yield ".", made
        return
    yield from ((path.relative_to(made).as_posix(), path) for path in made.rglob("*") if not path.is_dir())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
