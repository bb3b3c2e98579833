"""A folder takes its place whole or not at all, and nothing of anybody else's is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autoglmc.compiler.bundle import publish as module
from autoglmc.compiler.bundle.publish import ASIDE, BUILDING, exchange, publish
from autoglmc.compiler.errors import BundleError


def ours(folder: Path) -> bool:
    return (folder / "mine").exists()


def write(out: Path, text: str) -> None:
    with publish(out, ours) as folder:
        (folder / "mine").write_text(text)
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text(text)


def test_new_then_replaced_and_nothing_left_beside(tmp_path: Path) -> None:
    out = tmp_path / "b"
    write(out, "one")
    write(out, "two")
    assert (out / "deep" / "file").read_text() == "two"
    assert os.listdir(tmp_path) == ["b"]


def test_replaced_without_a_system_call_that_exchanges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exchange", lambda first, second: False)
    out = tmp_path / "b"
    write(out, "one")
    write(out, "two")
    assert (out / "mine").read_text() == "two"
    assert os.listdir(tmp_path) == ["b"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_build_leaves_the_old_one(tmp_path: Path, fault: type[BaseException]) -> None:
    out = tmp_path / "b"
    write(out, "one")
    with pytest.raises(fault), publish(out, ours) as folder:
        (folder / "mine").write_text("half")
        raise fault
    assert (out / "mine").read_text() == "one"
    assert os.listdir(tmp_path) == ["b"]


def test_a_failed_move_puts_the_old_one_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exchange", lambda first, second: False)
    out = tmp_path / "b"
    write(out, "one")
    rename = Path.rename

    def failing(self: Path, to: Path) -> Path:
        if BUILDING in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(BundleError, match="No space left"):
        write(out, "two")
    assert (out / "mine").read_text() == "one"
    assert os.listdir(tmp_path) == ["b"]


KILLED = """
import os, signal, sys
from pathlib import Path
from autoglmc.compiler.bundle.publish import publish
with publish(Path(sys.argv[1]), lambda folder: True) as folder:
    (folder / "mine").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_build_leaves_the_old_one_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    out = tmp_path / "b"
    write(out, "one")
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (out / "mine").read_text() == "one"
    assert len(os.listdir(tmp_path)) == 2
    write(out, "two")
    assert os.listdir(tmp_path) == ["b"]


def test_a_folder_moved_aside_by_a_killed_run_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "b"
    write(out, "one")
    out.rename(tmp_path / f".b{ASIDE}")
    with pytest.raises(ValueError), publish(out, ours):
        raise ValueError
    assert (out / "mine").read_text() == "one"
    assert os.listdir(tmp_path) == ["b"]


def test_a_build_that_is_going_on_is_not_cleaned_up(tmp_path: Path) -> None:
    out = tmp_path / "b"
    with publish(out, ours) as folder:
        (folder / "mine").write_text("slow")
        write(out, "quick")
        assert (folder / "mine").read_text() == "slow"
    assert (out / "mine").read_text() == "slow"
    assert os.listdir(tmp_path) == ["b"]


def test_a_reader_never_sees_a_mixture(tmp_path: Path) -> None:
    out = tmp_path / "b"
    write(out, "0")
    if not exchange(out, out.with_name("b")):
        pytest.skip("this file system cannot exchange")
    seen, stop = set[str](), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add("whole" if (out / "deep" / "file").exists() else "broken")

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(50):
        write(out, str(i))
    stop.set()
    reader.join()
    assert seen == {"whole"}


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat").write_text("cat")
    with pytest.raises(BundleError, match="refusing to overwrite this folder: not an autoglmc bundle"):
        write(tmp_path / "photos", "one")
    (tmp_path / "file").write_text("text")
    with pytest.raises(BundleError, match="a file where the bundle should go"):
        write(tmp_path / "file", "one")
    with pytest.raises(BundleError, match="a file where a folder should be"):
        write(tmp_path / "file" / "b", "one")
    assert sorted(os.listdir(tmp_path)) == ["file", "photos"]
    assert (tmp_path / "photos" / "cat").read_text() == "cat"


def test_missing_folders_on_the_way_are_made_and_go_again_if_nothing_came_of_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    out = tmp_path / "there" / "a" / "b" / "c"
    with pytest.raises(ValueError), publish(out, ours):
        raise ValueError
    assert os.listdir(tmp_path) == ["there"] and os.listdir(tmp_path / "there") == []
    write(out, "one")
    assert (out / "mine").read_text() == "one"


def test_what_appears_meanwhile_stays(tmp_path: Path) -> None:
    out = tmp_path / "b"
    with pytest.raises(BundleError, match="not an autoglmc bundle"), publish(out, ours) as folder:
        (folder / "mine").write_text("one")
        out.mkdir()
        (out / "cat").write_text("cat")
    assert os.listdir(tmp_path) == ["b"]
    assert os.listdir(out) == ["cat"]


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root every folder can be written
    with pytest.raises(BundleError, match="cannot be written"):
        write(tmp_path / "b", "one")
    monkeypatch.undo()
    monkeypatch.setattr(Path, "mkdir", lambda self, **options: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(BundleError, match="Read-only file system"):
        write(tmp_path / "b", "one")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("leads_to", ["real", "nowhere"])
def test_a_link_is_refused_and_what_it_leads_to_stays(leads_to: str, tmp_path: Path) -> None:
    write(tmp_path / "real", "one")
    (tmp_path / "link").symlink_to(tmp_path / leads_to)
    with pytest.raises(BundleError, match="a symbolic link is where the bundle should go"):
        write(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink() and not (tmp_path / "nowhere").exists()
    assert (tmp_path / "real" / "mine").read_text() == "one"


def test_a_link_on_the_way_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    write(tmp_path / "link" / "b", "one")
    assert (tmp_path / "folder" / "b" / "mine").read_text() == "one" and (tmp_path / "link").is_symlink()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with publish(out, lambda folder: False) as folder:
        (folder / "made").write_text("x")
    assert (out / "made").read_text() == "x"
