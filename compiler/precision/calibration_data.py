"""Samples to calibrate with: a folder of .npz or .npy files, one such file, or `script.py:function` that yields dicts of arrays.

An array holds one sample where it has the shape of its input, several where its first axis is longer: those are read one by one, so no file
is in memory as a whole. Every sample is checked when it is read: names, dtypes, shapes, finite numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, did_you_mean
from .array_rows import Shape, array_rows
from .script_samples import is_script, script_samples

if TYPE_CHECKING:
    import numpy as np

MOST_SAMPLES = 1024
"""Samples that are read; more do not change ranges, and a generator may be endless."""
ADVICE = "a folder of .npz files, one file for each sample or batch; one .npz; or script.py:function"
Sample = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InputType:
    """Of an input of the model."""

    name: str
    dtype: np.dtype[Any]
    shape: Shape
    """None where any size will do."""


@dataclass(frozen=True, slots=True)
class CalibrationData:
    """Where samples come from; `samples()` reads them from the first on, as often as it is called."""

    source: str
    """As it was given."""
    read: Callable[[], Iterator[tuple[str, Sample]]]
    inputs: tuple[InputType, ...]

    def samples(self) -> Iterator[Sample]:
        """Checked, at most MOST_SAMPLES. Raises UsageError for the first that is not one."""
        for place, sample in islice(self.read(), MOST_SAMPLES):
            check_sample(sample, self.inputs, place)
            yield sample


@dataclass(frozen=True, slots=True)
class Census:
    """What is in calibration data."""

    samples: int
    sha256: str
    """Of all names, shapes and numbers, in order."""


def open_data(words: str | Path | Iterable[Sample], inputs: Iterable[InputType]) -> CalibrationData:
    """words: a path, "script.py:function", or the samples themselves. Raises UsageError where there is nothing to read."""
    kinds = tuple(inputs)
    if not isinstance(words, (str, Path)):
        given = tuple(islice(iter(words), MOST_SAMPLES))
        return CalibrationData("<samples>", lambda: ((f"sample {k}", one) for k, one in enumerate(given, 1)), kinds)
    if is_script(str(words)):
        return CalibrationData(str(words), script_samples(str(words)), kinds)
    files = _files(Path(words))
    return CalibrationData(str(words), lambda: _of_files(files, kinds), kinds)


def census(data: CalibrationData) -> Census:
    """Reads all of it once. Raises UsageError where there is no sample, or one that is none."""
    import numpy as np

    digest, number = hashlib.sha256(), 0
    for sample in data.samples():
        number += 1
        for name in sorted(sample):
            array = np.ascontiguousarray(sample[name])
            digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            digest.update(array.tobytes() if array.dtype.kind != "O" else repr(array.tolist()).encode())
    if not number:
        raise UsageError(f"no calibration samples in {data.source}", help=ADVICE)
    return Census(number, digest.hexdigest())


def check_sample(sample: object, inputs: Iterable[InputType], place: str) -> None:
    """Raises UsageError where it is not one array of numbers for each input, of its dtype and shape."""
    import numpy as np

    kinds = {one.name: one for one in inputs}
    if not isinstance(sample, Mapping):
        raise UsageError(f"{place} is not a dict of arrays, but {type(sample).__name__}", help="yield {'input name': array, …}")
    for name in sample:
        if name not in kinds:
            raise UsageError(f"{place} has an array '{name}', and the model no such input", help=did_you_mean(str(name), kinds))
    for name, kind in kinds.items():
        if name not in sample:
            raise UsageError(f"{place} has no array for the input '{name}'", help=f"the inputs: {', '.join(kinds)}")
        array = sample[name]
        if not isinstance(array, np.ndarray):
            raise UsageError(f"{place}: '{name}' is not a numpy array, but {type(array).__name__}")
        if array.dtype != kind.dtype and kind.dtype.kind != "O":
            raise UsageError(f"{place}: '{name}' is {array.dtype}, the model takes {kind.dtype}", help=f"array.astype('{kind.dtype}')")
        if not _fits(array.shape, kind.shape):
            takes = [dim if dim is not None else "any" for dim in kind.shape or ()]
            raise UsageError(f"{place}: '{name}' has the shape {list(array.shape)}, the model takes {takes}", help="see --shape")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{place}: '{name}' has a NaN or an infinite number", help="calibrate with inputs as the model will meet them")


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(size in (None, have) for size, have in zip(wanted, shape, strict=True))


def _files(path: Path) -> tuple[Path, ...]:
    if not path.exists():
        raise UsageError(f"there is no {path}", help=f"calibration data is {ADVICE}")
    if path.is_dir():
        found = tuple(sorted(file for file in path.iterdir() if file.suffix in (".npz", ".npy") and file.is_file()))
        if not found:
            raise UsageError(f"no .npz or .npy file in the folder {path}", help=f"calibration data is {ADVICE}")
        return found
    if path.suffix not in (".npz", ".npy") or not path.is_file():
        raise UsageError(f"{path} is not an .npz or .npy file", help=f"calibration data is {ADVICE}")
    return (path,)


def _of_files(files: Iterable[Path], inputs: tuple[InputType, ...]) -> Iterator[tuple[str, Sample]]:
    shapes = {one.name: one.shape for one in inputs}
    for file in files:
        for number, sample in enumerate(array_rows(file, shapes), 1):
            yield f"{file}, sample {number}", sample
