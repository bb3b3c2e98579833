"""Named arrays in .npz files, as `autoglmc run` reads and writes them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import UsageError
from ..output_file import check_file_place, new_file

if TYPE_CHECKING:
    import numpy.typing as npt


NPY = b"\x93NUMPY"
ADVICE = "write one with numpy.savez(path, name=array, ...)"


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz file by name; pickled objects are refused. Raises UsageError."""
    import numpy as np

    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise UsageError(f"{what}: {path}", help=ADVICE)
    try:
        if problem := _not_zip(path):
            raise _not_arrays(path, problem)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _not_arrays(path, str(error)) from None


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of an .npy file; pickled objects are refused. Raises UsageError."""
    import numpy as np

    help = "write one with numpy.save(path, array)"
    if not path.is_file():
        raise UsageError(f"{'not a file' if path.exists() else 'no such file'}: {path}", help=help)
    try:
        with path.open("rb") as file:
            if file.read(len(NPY)) != NPY:
                raise ValueError("it does not begin as one")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"not an .npy file of a plain array: {error}", where=str(path), help=help) from None


def read_samples(paths: Sequence[Path]) -> tuple[tuple[str, dict[str, npt.NDArray[Any]]], ...]:
    """(name, arrays) of every .npz file, in the order given; of a folder every one in it, by name. Raises UsageError."""
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"no .npz file in the folder {path}", help=ADVICE)
        files += found
    names = [file.name for file in files]
    return tuple((file.name if names.count(file.name) == 1 else str(file), read_arrays(file)) for file in files)


def _not_arrays(path: Path, problem: str) -> UsageError:
    return UsageError(f"not an .npz file of plain arrays: {problem}", where=str(path), help=ADVICE)


def _not_zip(path: Path) -> str:
    """Why it is not a zip archive, "" if it may be one: numpy's own message would be about pickles, which are refused anyway."""
    with path.open("rb") as file:
        start = file.read(6)
    if start == NPY:
        return "it is an .npy file, which holds one array without a name"
    return "" if start[:2] == b"PK" else "it is not an .npz file"


def check_arrays_place(path: Path, read: Sequence[Path] = ()) -> None:
    """Raises UsageError where no .npz file can be written, or one that is `read`; call before the work begins."""
    check_file_place(path, "the outputs", (".npz",))
    if any(source.exists() and path.exists() and path.samefile(source) for source in read):
        raise UsageError(f"the outputs would replace the inputs in {path}", help="name another .npz file with -o")


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an .npz file, whole or not at all. Raises UsageError when the place cannot be written, or holds something else."""
    check_arrays_place(path)
    with new_file(path) as file:
        _savez(file, arrays)


def _savez(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    """numpy.savez takes names as keywords, so that an output called "file" would break it; and it dates its members."""
    import numpy as np

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, value in arrays.items():
            for member, array in _members(name, value):
                with archive.open(zipfile.ZipInfo(f"{member}.npy"), "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)


def _members(name: str, value: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """A tensor as it is (strings as numpy's own), a sequence as name.0, name.1 …, nothing for an empty optional."""
    import numpy as np

    if isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _members(f"{name}.{number}", item)
    elif value is not None:
        array = np.asarray(value)
        yield name, array.astype(str) if array.dtype == object else array
