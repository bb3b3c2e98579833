from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.array_files import check_arrays_place, read_arrays, read_samples, write_arrays


def test_what_is_written_is_read_and_equal_arrays_give_equal_files(tmp_path: Path) -> None:
    arrays = {"file": np.arange(6.0).reshape(2, 3), "a/b:0": np.zeros((0, 2), np.int8), "s": np.float32(3)}
    for name in ("one.npz", "two.npz"):
        write_arrays(tmp_path / name, arrays)
    back = read_arrays(tmp_path / "one.npz")
    assert back.keys() == arrays.keys() and all(
        np.array_equal(back[k], v) and back[k].dtype == np.asarray(v).dtype for k, v in arrays.items()
    )
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]


def test_files_that_hold_no_plain_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(3))
    np.savez(tmp_path / "object.npz", x=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("one.npy", "object.npz", "text.npz", "missing.npz"):
        with pytest.raises(UsageError) as caught:
            read_arrays(tmp_path / name)
        assert name in str(caught.value)


def test_a_place_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_arrays(tmp_path / "no" / "y.npz", {"y": np.ones(1)})
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        write_arrays(tmp_path / "folder", {"y": np.ones(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"refusing to overwrite .*manifest\.json: the outputs are written as \.npz"):
        write_arrays(tmp_path / "manifest.json", {"y": np.ones(1)})
    assert (tmp_path / "manifest.json").read_text() == "{}"


def test_samples_are_files_and_folders_in_order(tmp_path: Path) -> None:
    for name in ("z/b.npz", "z/a.npz", "c.npz", "y/a.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.savez(tmp_path / name, x=np.full(1, ord(name[-5])))
    found = read_samples([tmp_path / "c.npz", tmp_path / "z"])
    assert [(label, arrays["x"].item()) for label, arrays in found] == [("c.npz", ord("c")), ("a.npz", ord("a")), ("b.npz", ord("b"))]
    twice = [label for label, _ in read_samples([tmp_path / "y", tmp_path / "z"])]
    assert twice == [str(tmp_path / "y" / "a.npz"), str(tmp_path / "z" / "a.npz"), "b.npz"]  # two of one name are told by their paths
    assert read_samples([]) == ()
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"no \.npz file in the folder .*none"):
        read_samples([tmp_path / "none"])
    with pytest.raises(UsageError, match="no such file"):
        read_samples([tmp_path / "absent.npz"])


def test_outputs_never_replace_the_inputs(tmp_path: Path) -> None:
    """`run --input x.npz -o x.npz` did, silently; by another name of the file, too."""
    write_arrays(tmp_path / "x.npz", {"x": np.ones(1)})
    (tmp_path / "same.npz").hardlink_to(tmp_path / "x.npz")
    check_arrays_place(tmp_path / "y.npz", [tmp_path / "x.npz", tmp_path / "missing.npz"])
    for name in ("x.npz", "same.npz"):
        with pytest.raises(UsageError, match="the outputs would replace the inputs"):
            check_arrays_place(tmp_path / name, [tmp_path / "x.npz"])
