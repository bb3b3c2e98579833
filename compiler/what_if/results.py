"""Rows in a Parquet file that grows: what is there is not made again, and what was made is not lost.

While a sweep runs, rows go into part files beside the results, each written whole under another name first. At the end, however it comes,
and at the next start if there was no end, the parts are merged into the file, which is replaced as a whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import UserError, first_line
from ..extras import need
from ..output_file import check_file_place, new_file
from .columns import rows_of, table_of
from .row import Key, Row

EVERY = 2.0
"""Seconds between two part files."""


class Results:
    """Of one file, for one command at a time."""

    def __init__(self, path: Path) -> None:
        """Raises MissingExtra without pyarrow, UsageError for a file that is not of results, UserError where another command writes it."""
        self._pa, self._parquet = need("pyarrow", "--save"), need("pyarrow.parquet", "--save")
        check_file_place(path, "the results", (".parquet",), "--save")
        self.path, self._parts = path, path.with_name(f"{path.name}.parts")
        self._rows: dict[Key, Row] = {}
        self._new: list[Row] = []
        self._written, self._number = time.monotonic(), 0
        self._lock = _locked(self._parts)
        try:
            left = sorted(self._parts.glob("*.parquet"))
            for file in (*([path] if path.exists() else ()), *left):
                self._rows |= {row.key: row for row in self._read(file)}
        except BaseException:
            self._release(keep=True)
            raise
        self._number, self._changed = len(left), bool(left)

    @property
    def rows(self) -> Mapping[Key, Row]:
        return self._rows

    def add(self, row: Row) -> None:
        self._rows[row.key] = row
        self._new.append(row)
        if time.monotonic() - self._written >= EVERY:
            self.flush()

    def flush(self) -> None:
        """Writes what is new into a part file of its own."""
        self._written = time.monotonic()
        if self._new:
            self._number += 1
            self._write(self._parts / f"{self._number:06d}.{os.getpid()}.parquet", self._new)
            self._new, self._changed = [], True

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        """Merges the parts into the file."""
        try:
            if self._new or self._changed:
                self.flush()  # so that nothing is lost if this process is killed while it merges
                self._write(self.path, sorted(self._rows.values(), key=_order))
        except BaseException:
            self._release(keep=True)
            raise
        self._release(keep=False)

    def _release(self, keep: bool) -> None:
        """Gives the folder of parts back, which goes; with `keep` only if no part is in it."""
        if not keep or not any(self._parts.glob("*.parquet")):
            shutil.rmtree(self._parts, ignore_errors=True)
        os.close(self._lock)

    def _write(self, path: Path, rows: list[Row]) -> None:
        with new_file(path) as file:
            self._parquet.write_table(table_of(rows, self._pa), file)

    def _read(self, path: Path) -> list[Row]:
        try:
            table = self._parquet.ParquetFile(path).read()
        except (self._pa.ArrowInvalid, self._pa.ArrowNotImplementedError, OSError) as problem:
            raise UserError(f"cannot read {path}: {first_line(problem)}", help="name another file with --save, or remove it") from None
        return rows_of(table, self._pa, str(path))


def _order(row: Row) -> tuple[Any, ...]:
    """Of rows in the file, whoever made them and when."""
    return row.model, row.target, row.objective, row.shapes, row.effort, row.version, sorted(row.settings.items()), row.sha256, row.digest


def _locked(parts: Path) -> int:
    """The folder of part files, held by this command: a descriptor that holds it. Raises UserError where another one does."""
    try:
        parts.mkdir(exist_ok=True)
        descriptor = os.open(parts / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as problem:
        raise UserError(f"cannot write {parts}: {problem.strerror or problem}") from None
    with contextlib.suppress(ImportError):  # a system without it: two commands on one file are then not told apart
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = os.fstat(descriptor).st_nlink > 0  # else the one that held it has just removed it
        except OSError:
            free = False
        if not free:
            os.close(descriptor)
            message = f"another command is writing {parts.name.removesuffix('.parts')}"
            raise UserError(message, help="wait for it, or name another file with --save")
    return descriptor
