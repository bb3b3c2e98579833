"""Named arrays in .npz files, as `autoglmc run` reads and writes them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz file by name; pickled objects are refused. Raises UsageError."""
    import numpy as np

    if not path.is_file():
        raise UsageError(f"no such file: {path}", help="write one with numpy.savez(path, name=array, ...)")
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array without a name")
        with archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise UsageError(f"not an .npz file of plain arrays: {problem}", where=str(path), help="write one with numpy.savez") from None


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes an .npz file, whole or not at all. Raises UsageError when the place cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            _savez(file, arrays)
        part.replace(path)
    except OSError as problem:
        raise UsageError(f"cannot write {path}: {problem.strerror or problem}") from None
    finally:
        part.unlink(missing_ok=True)


def _savez(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """numpy.savez takes names as keywords, so that an output called "file" would break it; and it dates its members."""
    import numpy as np

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
