"""Calibration data of every form, and what is wrong with it in one clear message each."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoglmc.compiler.errors import UserError
from autoglmc.compiler.precision.calibration_data import MOST_SAMPLES, CalibrationData, InputType, census, open_data
from autoglmc.compiler.precision.split import Split

X = InputType("x", np.dtype(np.float32), (1, 3))
IDS = InputType("ids", np.dtype(np.int64), (1, 3))
ANY = InputType("x", np.dtype(np.float32), (None, 3))


def rows(n: int, *shape: int) -> np.ndarray:
    return np.arange(n * int(np.prod(shape)), dtype=np.float32).reshape(n, *shape)


def read(words: str | Path, *inputs: InputType) -> list[dict[str, Any]]:
    return [dict(sample) for sample in open_data(words, inputs).samples()]


def test_a_folder_of_samples_and_batches(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=rows(2, 3))
    np.savez(tmp_path / "a.npz", x=rows(1, 3) + 100)
    np.savez_compressed(tmp_path / "c.npz", x=rows(2, 1, 3) + 200)
    (tmp_path / "notes.txt").write_text("not data")
    found = [float(sample["x"][0, 0]) for sample in read(tmp_path, X)]
    assert found == [100, 0, 3, 200, 203]
    assert all(sample["x"].shape == (1, 3) for sample in read(tmp_path, X))


def test_one_file_of_one_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rows(5, 3))
    assert len(read(tmp_path / "x.npy", X)) == len(read(tmp_path, X)) == len(read(tmp_path / "x.npy", ANY)) == 5


def test_a_script_that_yields(tmp_path: Path) -> None:
    script = tmp_path / "data.py"
    script.write_text(
        "import numpy as np\ndef samples():\n    print('hello')\n    for k in range(4): yield {'x': np.full((1, 3), k, np.float32)}\n"
    )
    data = open_data(f"{script}:samples", (X,))
    for _ in range(2):  # from the first on each time
        assert [int(sample["x"][0, 0]) for sample in data.samples()] == [0, 1, 2, 3]


def test_a_generator_without_end_is_cut(tmp_path: Path) -> None:
    script = tmp_path / "data.py"
    script.write_text("import numpy as np\ndef samples():\n    while True: yield {'x': np.zeros((1, 3), np.float32)}\n")
    assert census(open_data(f"{script}:samples", (X,))).samples == MOST_SAMPLES


def test_the_digest_is_of_names_and_numbers(tmp_path: Path) -> None:
    def digest(array: np.ndarray) -> str:
        np.savez(tmp_path / "a.npz", x=array)
        return census(open_data(tmp_path, (X,))).sha256

    assert digest(rows(3, 3)) == digest(rows(3, 1, 3)) != digest(rows(3, 3)[::-1].copy())


def test_a_file_is_read_row_by_row(tmp_path: Path) -> None:
    """100 MB of samples take the memory of one."""
    wide = InputType("x", np.dtype(np.float32), (1, 50_000))
    np.savez(tmp_path / "a.npz", x=np.zeros((500, 50_000), np.float32))
    tracemalloc.start()
    assert census(open_data(tmp_path, (wide,))).samples == 500
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def saved(**arrays: Any) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        np.savez(folder / "a.npz", **arrays)
        return str(folder)

    return write


def script(text: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / "data.py").write_text("import numpy as np\n" + text)
        return f"{folder / 'data.py'}:samples"

    return write


def raw(name: str, data: bytes) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_bytes(data)
        return str(folder / name)

    return write


def cut_off() -> bytes:
    file = io.BytesIO()
    np.save(file, rows(100, 3))
    return file.getvalue()[:-40]


def huge_header() -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (1, 1 << 40)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def zipped(member: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, data)
    return file.getvalue()


WRONG: dict[str, tuple[Callable[[Path], str], str]] = {
    "wrong shape": (saved(x=rows(2, 4)), "'x' has the shape [1, 4], the model takes [1, 3]"),
    "wrong rank": (saved(x=np.zeros((1, 1, 1, 3), np.float32)), "the model takes [1, 3]"),
    "wrong dtype": (saved(x=np.zeros((2, 3))), "'x' is float64, the model takes float32"),
    "NaN": (saved(x=np.array([[0, 1, 2], [0, np.nan, 1]], np.float32)), "sample 2: 'x' has a NaN or an infinite number"),
    "infinity": (saved(x=np.full((1, 3), np.inf, np.float32)), "'x' has a NaN or an infinite number"),
    "empty": (saved(x=np.zeros((0, 3), np.float32)), "no calibration samples in"),
    "missing input": (saved(y=rows(1, 3)), "has an array 'y', and the model no such input"),
    "nothing in it": (saved(), "no calibration samples in"),
    "objects": (saved(x=np.array([{"a": 1}])), "holds Python objects, which are not read"),
    "empty folder": (str, "no .npz or .npy file in the folder"),
    "no such file": (lambda folder: str(folder / "none.npz"), "there is no"),
    "another kind of file": (raw("a.txt", b"1 2 3"), "is not an .npz or .npy file"),
    "not a zip": (raw("a.npz", b"hello"), "is not an .npz file"),
    "not an array": (raw("a.npy", b"hello"), "is not an array"),
    "cut off": (raw("a.npy", cut_off()), "ends before its last sample"),
    "larger than it can be": (raw("a.npy", huge_header()), "more than 1 GiB"),
    "a member that is no array": (raw("a.npz", zipped("x.npy", b"hello")), "is not an array"),
    "Fortran order": (saved(x=np.asfortranarray(rows(2, 3))), "is stored in Fortran order"),
    "a script that raises": (
        script("def samples():\n    yield 1 / 0\n"),
        "samples failed, for sample 1: ZeroDivisionError: division by zero",
    ),
    "a script that raises at once": (script("def samples():\n    raise ValueError('no data')\n"), "samples failed: ValueError: no data"),
    "a script that exits": (script("def samples():\n    raise SystemExit(3)\n"), "samples failed: exits"),
    "a script that returns none": (script("def samples():\n    pass\n"), "gave no samples, but NoneType"),
    "a script that returns a dict": (script("def samples():\n    return {'x': 1}\n"), "gave no samples, but dict"),
    "a script that yields lists": (script("def samples():\n    yield [1]\n"), "is not a dict of arrays, but list"),
    "a script that yields numbers": (script("def samples():\n    yield {'x': 1.0}\n"), "'x' is not a numpy array, but float"),
    "a script that yields nothing": (script("def samples():\n    yield from ()\n"), "no calibration samples in"),
    "a script without the function": (script("def others():\n    pass\n"), "there is no function 'samples'"),
    "a script that does not import": (script("import nothing_of_that_name\n"), "cannot be imported: ModuleNotFoundError"),
    "no script": (lambda folder: f"{folder}/none.py:samples", "no such file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    words = make(tmp_path)
    with pytest.raises(UserError) as raised:
        census(open_data(words, (X,)))
    assert message in str(raised.value)
    assert str(raised.value).count("error:") == 1


def test_arrays_of_different_numbers_of_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=rows(2, 3), ids=np.zeros((3, 3), np.int64))
    with pytest.raises(UserError, match="different numbers of samples: x 2, ids 3"):
        read(tmp_path, X, IDS)


def test_an_array_without_a_name_needs_one_input(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", rows(2, 3))
    with pytest.raises(UserError, match="holds one array, and the model has 2 inputs"):
        read(tmp_path, X, IDS)


@pytest.mark.parametrize("number", [1, 2, 7, 8, 9, 40, 1000])
def test_samples_are_either_calibrated_with_or_held_out(number: int) -> None:
    data = CalibrationData("", lambda: ((str(k), {"x": np.full((1, 3), k, np.float32)}) for k in range(number)), (X,))
    split = Split(number)
    used, judged = ([int(one["x"][0, 0]) for one in part(data)] for part in (split.calibrated, split.judged))
    assert len(used) == split.calibrating > 0 and 0 < len(judged) <= 64
    if split.holds_out:
        assert not set(used) & set(judged) and sorted({*used, *judged}) == list(range(number))
    else:
        assert used == judged == list(range(number))
