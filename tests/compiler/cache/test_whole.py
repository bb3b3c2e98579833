"""An entry is read as it was written or not at all, whatever was done to the cache; and its place is free again."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autoglmc.compiler.cache.contents import clear, contents
from autoglmc.compiler.cache.folders import cache_folder
from autoglmc.compiler.cache.whole import DIGESTS, MADE, keep_bytes, keep_made, kept_bytes, kept_made, untrusted

DATA = bytes(range(256)) * 40


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _gone(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_bytes(DATA)


def _link(path: Path) -> None:
    shutil.copyfile(path, path.parent.parent / "elsewhere")
    path.unlink()
    path.symlink_to(path.parent.parent / "elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _of_another_user(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(path, 54321, 54321)


FAULTS = (_cut, _flipped, _longer, _folder, _link, _pipe, _of_another_user, lambda path: path.write_bytes(b""))


@pytest.mark.parametrize("fault", FAULTS)
def test_bytes_that_were_changed_are_none(tmp_path: Path, fault: Callable[[Path], None]) -> None:
    path = tmp_path / "cache" / "a"
    assert keep_bytes(path, DATA) and kept_bytes(path) == DATA
    fault(path)
    assert kept_bytes(path) is None and not os.path.lexists(path)
    assert keep_bytes(path, DATA) and kept_bytes(path) == DATA


@pytest.fixture(params=["file", "folder"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What a tool made."""
    path = tmp_path / "blob"
    if request.param == "file":
        path.write_bytes(DATA)
        return path
    (path / "Data" / "empty").mkdir(parents=True)
    (path / "Data" / "weights").write_bytes(DATA)
    (path / "Manifest").write_bytes(b"m")
    return path


def same(one: Path, other: Path) -> bool:
    def listed(path: Path) -> list[tuple[str, bytes | None]]:
        return sorted((str(p.relative_to(path)), p.read_bytes() if p.is_file() else None) for p in (path, *path.rglob("*")))

    return listed(one) == listed(other)


def data_of(entry: Path) -> Path:
    return entry / MADE if (entry / MADE).is_file() else entry / MADE / "Data" / "weights"


@pytest.mark.parametrize("fault", [*FAULTS, _gone])
@pytest.mark.parametrize("which", [data_of, lambda entry: entry / DIGESTS])
def test_what_a_tool_made_and_somebody_changed_is_none(
    made: Path, tmp_path: Path, fault: Callable[[Path], None], which: Callable[[Path], Path]
) -> None:
    entry, place = tmp_path / "cache" / "key", tmp_path / "place"
    assert keep_made(entry, made) == "" and kept_made(entry, place) and same(made, place)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    fault(which(entry))
    assert not kept_made(entry, place) and not os.path.lexists(place) and not os.path.lexists(entry)
    assert keep_made(entry, made) == "" and kept_made(entry, place) and same(made, place)


@pytest.mark.parametrize("replace", [Path.touch, Path.mkdir, lambda path: path.symlink_to(path.parent / "other"), os.mkfifo])
def test_an_entry_of_another_kind_is_replaced(made: Path, tmp_path: Path, replace: Callable[[Path], None]) -> None:
    entry, place = tmp_path / "cache" / "key", tmp_path / "place"
    keep_made(tmp_path / "cache" / "other", made)
    replace(entry)
    assert not kept_made(entry, place) and keep_made(entry, made) == "" and kept_made(entry, place)


def test_an_entry_under_the_name_of_another_is_none(made: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    keep_made(cache / "a", made), keep_bytes(cache / "x", DATA)
    (cache / "a").rename(cache / "b"), (cache / "x").rename(cache / "y")
    assert not kept_made(cache / "b", tmp_path / "place") and kept_bytes(cache / "y") is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_is_not_used(made: Path, tmp_path: Path, mode: int) -> None:
    entry = tmp_path / "cache" / "key"
    keep_made(entry, made), keep_bytes(entry.parent / "x", DATA)
    entry.parent.chmod(mode)
    assert untrusted(entry.parent) == keep_made(entry, made) == "other users can write it (chmod go-w)"
    assert not kept_made(entry, tmp_path / "place") and kept_bytes(entry.parent / "x") is None and not keep_bytes(entry, DATA)


def test_a_folder_on_another_disk_may_be_linked(made: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to("disk")
    assert keep_made(tmp_path / "cache" / "key", made) == "" and kept_made(tmp_path / "cache" / "key", tmp_path / "place")


def test_a_full_disk_keeps_nothing_and_says_so(made: Path, tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for it: a write beyond fails."""
    code = (
        "import resource, sys; from pathlib import Path; from autoglmc.compiler.cache.whole import keep_bytes, keep_made\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); cache = Path(sys.argv[1])\n"
        "print(keep_made(cache / 'key', Path(sys.argv[2])), keep_bytes(cache / 'x', bytes(9000)), sorted(p.name for p in cache.iterdir()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "cache"), str(made)], capture_output=True, text=True)
    assert done.stdout == "File too large False []\n", done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 5000


WORKER = """
import os, random, shutil, sys
from pathlib import Path
from autoglmc.compiler.cache.whole import DIGESTS, keep_made, kept_made
root, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
for k in range(60):
    name, place = str(rng.randrange(3)), root / f"place-{seed}-{k}"
    made = root / f"made-{seed}"
    made.write_bytes(name.encode() * 100_000)
    if rng.random() < 0.1:
        try: (root / "cache" / name / DIGESTS).write_bytes(b"")
        except OSError: pass
    if kept_made(root / "cache" / name, place):
        assert place.read_bytes() == name.encode() * 100_000, "not what was kept"
    else:
        assert not place.exists()
        keep_made(root / "cache" / name, made)
"""


def test_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), str(seed)]) for seed in range(3)]
    assert [worker.wait(timeout=120) for worker in workers] == [0] * 3
    assert not [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith(".new-")]


def test_cache_counts_and_clears_such_entries(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    keep_made(cache_folder("blobs") / "key", made), keep_bytes(cache_folder("reference") / "x", DATA)
    counted = {one.name: (one.entries, one.bytes >= len(DATA)) for one in contents()}
    assert counted == {"blobs": (1, True), "reference": (1, True), "ranges": (0, False), "reports": (0, False), "grammar": (0, False)}
    clear()
    assert not any(one.entries for one in contents())
