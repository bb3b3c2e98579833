"""Build a folder beside its place and exchange it: a reader sees the old or the new, never a mixture.

    with publish(out, is_ours) as folder:
        ...write into folder...

    with stage(out, is_ours) as staged:
        ...write into staged.folder, look at it...
        staged.publish()  # or not: then nothing was there

Where the system can exchange two folders in one step (Linux renameat2, macOS renamex_np) that is used, else the old one moves aside
first. An interrupted build leaves the old folder as it was; what a killed process left is removed by the next run for the same place.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..activity import half_written
from ..errors import BundleError
from ..output_file import special_kind

try:
    import fcntl
except ImportError:  # no such locks on Windows: leftovers then stay
    fcntl = None  # type: ignore[assignment]

BUILDING = ".autoglmc-new-"
ASIDE = ".autoglmc-old"
EXCHANGE = 2
"""RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS."""
AT_FDCWD = -100


class Staged:
    """A folder beside its place. `publish` moves it there; a staged folder that is not published is removed."""

    def __init__(self, folder: Path, out: Path, is_ours: Callable[[Path], bool]) -> None:
        self.folder, self._out, self._is_ours = folder, out, is_ours

    def publish(self) -> None:
        """Takes the place of `out`. Raises BundleError where something else was put there meanwhile."""
        check_place(self._out, self._is_ours)
        _take_place(self.folder, self._out)


@contextlib.contextmanager
def publish(out: Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """A new empty folder that takes the place of `out` when the block ends without an exception, and vanishes otherwise.

    Raises as `stage` does.
    """
    with stage(out, is_ours) as staged:
        yield staged.folder
        staged.publish()


@contextlib.contextmanager
def stage(out: Path, is_ours: Callable[[Path], bool]) -> Iterator[Staged]:
    """A new empty folder that can take the place of `out`, and vanishes at the end of the block if it did not.

    `is_ours` says whether an existing folder may be replaced. Raises BundleError where it may not, or where nothing can be written.
    """
    out = _place_of(out)
    check_place(out, is_ours)
    _clean(out)
    made = _make_parents(out)
    try:
        folder, lock = _create(out)
    except BaseException:
        _remove_empty(made)
        raise
    try:
        with half_written(str(folder)):
            yield Staged(folder, out, is_ours)
    except OSError as error:
        raise BundleError(f"the bundle cannot be written: {error.strerror or error}", where=str(out)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        _remove_empty(made)


def check_place(out: Path, is_ours: Callable[[Path], bool]) -> None:
    """Raises BundleError where nothing can be written at `out`, or what is there may not be replaced; an empty folder may."""
    _check_name(out)
    parent = next((folder for folder in out.parents if os.path.lexists(folder)), out)
    if not parent.is_dir():
        raise BundleError("there is a file where a folder should be", where=str(parent), help="choose another place with -o")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError("the folder cannot be written", where=str(parent), help="choose another with -o")
    lies = special_kind(out)
    if lies not in ("", "a folder"):
        raise BundleError(f"{lies} is where the bundle should go", where=str(out), help="choose another place with -o")
    if not out.exists():
        return
    if not out.is_dir():
        raise BundleError("there is a file where the bundle should go", where=str(out), help="choose another place with -o")
    if not is_ours(out) and any(out.iterdir()):
        raise BundleError("refusing to overwrite this folder: not an autoglmc bundle", where=str(out), help="choose another place with -o")


def _place_of(out: Path) -> Path:
    """Its folder resolved, itself not: a link is not to be taken for what it leads to."""
    return out.parent.resolve() / out.name if out.name not in ("", "..") else out.resolve()


def _check_name(out: Path) -> None:
    """Raises BundleError for a path that the system refuses: the folder beside it has the longest name."""
    try:
        (out.parent / f".{out.name}{BUILDING}{'0' * 12}").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _not_writable(out, error) from None


def _make_parents(out: Path) -> list[Path]:
    """Makes the folders on the way to `out`; those that were missing, innermost first."""
    missing = [folder for folder in out.parents if not folder.exists()]
    try:
        if missing:
            out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _remove_empty(missing)
        raise _not_writable(out.parent, error) from None
    return missing


def _remove_empty(folders: Sequence[Path]) -> None:
    """Those that are still empty: no bundle was published."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _not_writable(folder: Path, error: OSError) -> BundleError:
    return BundleError(f"the folder cannot be written: {error.strerror or error}", where=str(folder), help="choose another with -o")


def _create(out: Path) -> tuple[Path, int | None]:
    """A new folder beside `out`, locked for as long as this process lives: an unlocked one is a leftover."""
    folder = out.parent / f".{out.name}{BUILDING}{secrets.token_hex(6)}"
    try:
        folder.mkdir()
    except OSError as error:
        raise _not_writable(out.parent, error) from None
    lock = _lock(folder)
    if fcntl is not None and not folder.exists():  # another run took it for a leftover before it was locked
        return _create(out)
    return folder, lock


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None where it cannot be had."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _clean(out: Path) -> None:
    """Removes what killed runs for the same place left, and puts an old folder back that one had moved aside."""
    aside = out.parent / f".{out.name}{ASIDE}"
    if aside.is_dir() and not out.exists():
        aside.rename(out)
    shutil.rmtree(aside, ignore_errors=True)
    if not out.parent.is_dir():
        return
    prefix = f".{out.name}{BUILDING}"
    for leftover in sorted(path for path in out.parent.iterdir() if path.name.startswith(prefix)):
        descriptor = _lock(leftover)
        if descriptor is not None:
            shutil.rmtree(leftover, ignore_errors=True)
            os.close(descriptor)


def _take_place(folder: Path, out: Path) -> None:
    if not out.exists():
        folder.rename(out)
    elif not exchange(folder, out):
        aside = out.parent / f".{out.name}{ASIDE}"
        out.rename(aside)
        try:
            folder.rename(out)
        except BaseException:
            aside.rename(out)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False where the system or the file system cannot."""
    paths = os.fsencode(first), os.fsencode(second)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = library.renamex_np(*paths, EXCHANGE)
        else:
            failed = library.renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], EXCHANGE)
    except (OSError, AttributeError, TypeError):
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(second))
