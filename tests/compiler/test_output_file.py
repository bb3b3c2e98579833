"""Whatever a command writes goes to nothing, or to a regular file of the kind, whole or not at all."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from small_models import RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.output_file import check_file_place, new_file, write_file


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def device(path: Path) -> None:
    """The same as /dev/null, where nothing is lost with it."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices can be made by root alone")


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def link_to_a_file(path: Path) -> None:
    target = path.parent / f"real{path.suffix}"
    target.write_bytes(b"mine")
    path.symlink_to(target)


def link_to_a_folder(path: Path) -> None:
    (path.parent / "real").mkdir()
    path.symlink_to(path.parent / "real")


def folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").touch()


SPECIAL = {"a FIFO": fifo, "a socket": unix_socket, "a device": device, "a symbolic link": link_to_a_file}
THINGS = (fifo, unix_socket, device, link_to_nothing, link_to_a_file, link_to_a_folder, folder)
COMPILE = ("m.onnx", "--target", "x86_cpu", "--no-verify", "--allow-unverified")
RUN = ("run", "b", "--input", "x.npz")
WRITERS = {
    "compile -o": (*COMPILE, "-o", "PLACE"),
    "--stop-after": (*COMPILE, "--stop-after", "recover", "-o", "PLACE.onnx"),
    "--print-after": (*COMPILE, "--print-after", "recover:PLACE.txt", "-o", "new"),
    "run -o": (*RUN, "-o", "PLACE.npz"),
    "run -o, of several requests": (*RUN, "--requests", "2", "-o", "y.npz"),
    "--timeline": (*RUN, "--timeline", "PLACE.html"),
    "probe -o": ("probe", "--runtime", "ort", "--operators", "Relu", "-o", "PLACE.hw"),
    "new-target -o": ("new-target", "x", "-o", "PLACE.hw"),
}


def place_of(words: tuple[str, ...]) -> str:
    return next((word.rpartition(":")[2] for word in words if "PLACE" in word), "y.1.npz")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import numpy as np

    save(parse(RELU), tmp_path, "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.ones((1, 4), np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kind(path: Path) -> tuple[int, int]:
    return stat.S_IFMT(path.lstat().st_mode), path.lstat().st_ino


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("thing", THINGS)
def test_nothing_but_a_file_is_written_to(thing, writer: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    words = WRITERS[writer]
    if words[0] == "run":
        assert cli.run([*COMPILE, "-q", "-o", "b"]) == 0
    path = work / place_of(words)
    thing(path)
    before = kind(path), sorted(os.listdir(work))
    capsys.readouterr()
    code = cli.run(list(words))
    shown = capsys.readouterr().err
    assert code in (1, 2) and shown.count("error: ") == 1 and path.name in shown, shown
    assert "Traceback" not in shown and "segment" not in shown and "place-operators" not in shown, "refused before the work begins"
    assert (kind(path), sorted(os.listdir(work))) == before
    assert (work / "nowhere").exists() is False and all(file.read_bytes() == b"mine" for file in work.glob("real.*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*RUN, "-o", "y.txt"), "cannot write y.txt: the outputs are written as .npz"),
        ((*RUN, "-o", "y"), "cannot write y: the outputs are written as .npz"),
        ((*RUN, "-o", "no/y.npz"), "cannot write no/y.npz: folder no does not exist"),
        ((*RUN, "-o", "y" * 300 + ".npz"), "File name too long"),
        ((*RUN, "--timeline", "t.txt"), "the timeline is written as .json or .html or .svg"),
        ((*COMPILE, "--stop-after", "recover", "-o", "x.txt"), "the graph is written as .onnx"),
        ((*COMPILE, "--print-after", "recover:m.onnx"), "refusing to overwrite m.onnx: it was not written by --print-after"),
        (("probe", "--runtime", "ort", "-o", "x.txt"), "the table is written as .hw"),
        (("new-target", "x", "-o", "x.txt"), "a target is written as .hw"),
    ],
)
def test_a_file_of_another_kind(words: tuple[str, ...], says: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(os.listdir(work))
    assert cli.run(list(words)) == 2
    assert says in capsys.readouterr().err
    assert sorted(os.listdir(work)) == before


@pytest.mark.parametrize("words", [(".",), ("..",), ("/",), ("/dev/null",), ("",), ("m.onnx/",)])
@pytest.mark.parametrize("more", [(), ("--target", "x86_cpu"), ("--target", "x86_cpu", "-o", "new"), ("--target", ".")])
def test_what_is_no_model_is_an_error_of_usage(words: tuple[str, ...], more: tuple[str, ...], work: Path) -> None:
    for first in ((), ("check",), ("why",)):
        given = words if first == ("check",) else (*words, *more)
        assert cli.run([*first, *given]) in (0, 1, 2)


def test_a_special_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, (name, make) in enumerate(SPECIAL.items()):
        path = tmp_path / f"{number}.npz"
        make(path)
        with pytest.raises(UsageError, match=f"it is {name}"):
            check_file_place(path, "the outputs", (".npz",))
        with pytest.raises(UsageError, match=f"it is {name}"):
            write_file(path, b"new")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("y\0.npz", "y" * 300 + ".npz"):
        with pytest.raises(UsageError, match="cannot write"):
            check_file_place(tmp_path / name, "the outputs", (".npz",))


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "y.bin"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with pytest.raises(ZeroDivisionError), new_file(path) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["y.bin"]
    write_file(path, "new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["y.bin"] and stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UserError, match="cannot write"):
        write_file(tmp_path / "no" / "y.bin", b"")


def test_what_takes_the_place_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "y.bin"
    with pytest.raises(UsageError, match="it is a FIFO"), new_file(path) as file:
        file.write(b"new")
        os.mkfifo(path)
    assert stat.S_ISFIFO(path.lstat().st_mode) and os.listdir(tmp_path) == ["y.bin"]
