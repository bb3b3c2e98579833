"""A cache keeps what was used last, whole or not at all, whoever else writes, reads and removes at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.cache.entries import entries, keep_below, mark_used, remove, write_entry
from autoglmc.compiler.cache.whole import keep_bytes, kept_bytes


def aged(folder: Path, name: str, size: int, age: float) -> Path:
    """An entry of that many bytes, used that many seconds ago."""
    path = folder / name
    assert write_entry(path, b"x" * size)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def names(folder: Path) -> list[str]:
    return [entry.path.name for entry in entries(folder)]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a"
    assert kept_bytes(path) is None
    assert keep_bytes(path, b"one") and kept_bytes(path) == b"one"
    assert keep_bytes(path, b"two") and kept_bytes(path) == b"two"
    assert os.listdir(path.parent) == ["a"] and path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert not keep_bytes(tmp_path / "file" / "a", b"x") and kept_bytes(tmp_path / "file" / "a") is None
    assert entries(tmp_path / "none") == () and keep_below(tmp_path / "none", 0) == 0


def test_the_oldest_go_first_and_a_use_makes_an_entry_young(tmp_path: Path) -> None:
    paths = [aged(tmp_path, name, 10, age) for name, age in (("a", 400), ("b", 300), ("c", 200), ("d", 100))]
    assert names(tmp_path) == ["a", "b", "c", "d"]
    mark_used(paths[0])
    assert names(tmp_path) == ["b", "c", "d", "a"]
    assert keep_below(tmp_path, 25) == 2 and names(tmp_path) == ["d", "a"]
    assert keep_below(tmp_path, 25) == 0


def test_what_was_used_just_now_is_spared(tmp_path: Path) -> None:
    aged(tmp_path, "old", 10, 1000), aged(tmp_path, "young", 10, 5)
    assert keep_below(tmp_path, 0) == 1 and names(tmp_path) == ["young"]
    assert keep_below(tmp_path, 0, spared=0) == 1 and names(tmp_path) == []


def test_a_folder_is_an_entry_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    for name in ("one", "inner/two"):
        (tmp_path / "package" / name).write_bytes(b"x" * 50)
    (entry,) = entries(tmp_path)
    assert entry.bytes >= 100
    assert remove(entry.path) and os.listdir(tmp_path) == [] and not remove(entry.path)


def test_a_link_goes_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "link").symlink_to(tmp_path / "elsewhere")
    assert remove(tmp_path / "cache" / "link") and (tmp_path / "elsewhere" / "precious").is_file()


def test_what_killed_processes_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    for name in (".new-killed", ".new-running", ".old-killed"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".new-killed", (0, 0))
    assert entries(tmp_path) == () and keep_below(tmp_path, 0) == 0
    assert os.listdir(tmp_path) == [".new-running"]


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 200))
def test_the_limit_holds_and_no_more_goes_than_must(sizes: list[int], limit: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for number, size in enumerate(sizes):
            aged(Path(folder), f"{number:02}", size, 1000 - number)
        removed = keep_below(Path(folder), limit)
        assert sum(sizes[removed:]) <= limit, "the oldest went"
        assert removed == 0 or sum(sizes[removed - 1 :]) > limit, "and no more than must"
        assert names(Path(folder)) == [f"{number:02}" for number in range(removed, len(sizes))]


WORKER = """
import os, random, sys
from pathlib import Path
from autoglmc.compiler.cache.entries import keep_below
from autoglmc.compiler.cache.whole import keep_bytes, kept_bytes
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
for _ in range(300):
    name = str(rng.randrange(20))
    if rng.random() < 0.4:
        keep_bytes(folder / name, name.encode() * 1000)
    elif rng.random() < 0.5:
        keep_below(folder, 5000, spared=0)
    else:
        data = kept_bytes(folder / name)
        assert data is None or data == name.encode() * 1000, "half an entry"
"""


def test_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), str(seed)]) for seed in range(4)]
    assert [worker.wait(timeout=120) for worker in workers] == [0] * 4
    keep_below(tmp_path, 5000, spared=0)
    assert sum(entry.bytes for entry in entries(tmp_path)) <= 5000
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")], "nothing half-written is left"


def test_an_entry_that_is_removed_while_it_is_open_stays_readable(tmp_path: Path) -> None:
    path = aged(tmp_path, "a", 10, 0)
    with path.open("rb") as opened:
        if not remove(path):
            pytest.skip("an open file cannot be renamed here")
        assert opened.read() == b"x" * 10
