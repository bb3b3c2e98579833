"""Samples out of .npz and .npy files, row by row: a file may be larger than memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

from ..errors import UsageError

Shape = tuple[int | None, ...] | None
LARGEST_ROW = 1 << 30
"""Bytes of one sample's array."""


def array_rows(file: Path, shapes: Mapping[str, Shape]) -> Iterator[dict[str, Any]]:
    """The samples of a file. shapes: of the model's inputs. An .npy file holds those of the only input. Raises UsageError for a file that
    is damaged, arrays of different numbers of samples, and a sample of more than LARGEST_ROW bytes."""
    with ExitStack() as stack:
        rows = {name: stack.enter_context(_opened(file, member, name, shapes)) for name, member in _members(file, shapes).items()}
        numbers = {name: len(one) for name, one in rows.items()}
        if len(set(numbers.values())) > 1:
            listed = ", ".join(f"{name} {number}" for name, number in numbers.items())
            raise UsageError(f"the arrays of {file} have different numbers of samples: {listed}")
        for _ in range(next(iter(numbers.values()), 0)):
            yield {name: one.read() for name, one in rows.items()}


def _members(file: Path, shapes: Mapping[str, Shape]) -> dict[str, str]:
    """The name of each array's member in the file, "" for the file itself."""
    if file.suffix == ".npy":
        if len(shapes) != 1:
            help = f"an .npz file has arrays by name: {', '.join(shapes)}"
            raise UsageError(f"{file} holds one array, and the model has {len(shapes)} inputs", help=help)
        return {next(iter(shapes)): ""}
    try:
        with zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy"): name for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as problem:
        raise UsageError(f"{file} is not an .npz file: {problem}", help="write one with numpy.savez(path, name=array, …)") from None


class _Rows:
    """One array, read from its beginning to its end."""

    def __init__(self, stream: IO[bytes], file: Path, name: str, wanted: Shape) -> None:
        import numpy as np
        from numpy.lib import format

        self._stream, self._file, self._name = stream, file, name
        try:
            version = format.read_magic(stream)
            shape, fortran, self._dtype = (
                format.read_array_header_1_0(stream) if version == (1, 0) else format.read_array_header_2_0(stream)
            )
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as problem:
            raise UsageError(f"'{name}' in {file} is not an array: {problem}") from None
        if self._dtype.hasobject:
            raise UsageError(f"'{name}' in {file} holds Python objects, which are not read", help="arrays of numbers or of fixed strings")
        if fortran and len(shape) > 1:
            raise UsageError(f"'{name}' in {file} is stored in Fortran order", help="numpy.ascontiguousarray(array) before it is saved")
        self._shape, self._number = _split(shape, wanted)
        self._np = np
        if prod(self._shape) * self._dtype.itemsize > LARGEST_ROW:
            raise UsageError(
                f"a sample of '{name}' in {file} has the shape {list(self._shape)}: more than 1 GiB", help=f"the model takes {wanted}"
            )

    def __len__(self) -> int:
        return self._number

    def read(self) -> Any:
        size = prod(self._shape) * self._dtype.itemsize
        try:
            data = self._stream.read(size)
        except (OSError, EOFError, zipfile.BadZipFile) as problem:
            raise UsageError(f"'{self._name}' in {self._file} cannot be read: {problem}") from None
        if len(data) != size:
            raise UsageError(f"'{self._name}' in {self._file} ends before its last sample", help="the file is cut off: write it again")
        return self._np.frombuffer(data, self._dtype).reshape(self._shape)


@contextmanager
def _opened(file: Path, member: str, name: str, shapes: Mapping[str, Shape]) -> Iterator[_Rows]:
    with ExitStack() as stack:
        if member:
            archive = stack.enter_context(zipfile.ZipFile(file))
            try:
                stream: IO[bytes] = stack.enter_context(archive.open(member))
            except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as problem:
                raise UsageError(f"'{name}' in {file} cannot be read: {problem}") from None
        else:
            stream = stack.enter_context(file.open("rb"))
        yield _Rows(stream, file, name, shapes.get(name))


def _split(shape: tuple[int, ...], wanted: Shape) -> tuple[tuple[int, ...], int]:
    """The shape of a sample, and how many there are. A first axis of another size than the input's holds samples, of one row each where
    the input's size is not fixed; so does an axis before those of the input."""
    if wanted is None or not shape:
        return shape, 1
    if len(shape) == len(wanted) + 1:
        return shape[1:], shape[0]
    if len(shape) != len(wanted) or not wanted:
        return shape, 1
    rows = wanted[0] or 1
    return ((rows, *shape[1:]), shape[0] // rows) if rows and shape[0] % rows == 0 else (shape, 1)
