"""`autoglmc fmt`: files in place, or none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from autoglmc.compiler import cli
from autoglmc.compiler.hw.format_files import write_in_place
from autoglmc.targets.stock import FOLDER

UNTIDY = "hw   1;target t{name 'x';}".replace("'", '"')
TIDY = 'hw 1;\ntarget t { name "x"; }\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.hw"
    path.write_text(UNTIDY, "utf-8")
    path.chmod(0o640)
    return path


def test_writes_in_place_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = file.with_name("link.hw")
    link.symlink_to(file)
    assert cli.run(["fmt", str(link)]) == 0
    assert capsys.readouterr().out == f"{link}\n" and file.read_text("utf-8") == TIDY and link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert cli.run(["fmt", str(file)]) == 0
    assert capsys.readouterr().out == "" and sorted(p.name for p in file.parent.iterdir()) == ["link.hw", "t.hw"]


def test_check_lists_and_writes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = file.with_name("good.hw")
    good.write_text(TIDY, "utf-8")
    assert cli.run(["fmt", "--check", str(good), str(file)]) == 1
    assert capsys.readouterr().out == f"{file}\n" and file.read_text("utf-8") == UNTIDY
    assert cli.run(["fmt", "--check", "--json", str(file)]) == 1
    assert json.loads(capsys.readouterr().out) == {"changed": [str(file)]}
    assert cli.run(["fmt", "--check", str(good)]) == 0


def test_stdout(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fmt", "--stdout", str(file)]) == 0
    assert capsys.readouterr().out == TIDY and file.read_text("utf-8") == UNTIDY
    assert cli.run(["fmt", "--stdout", "--check", str(file)]) == 2


def test_a_file_with_syntax_errors_stays_and_the_others_are_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = file.with_name("bad.hw")
    bad.write_text("hw 1;\ntarget t { name 'x; }\n", "utf-8")
    large = file.with_name("large.hw")
    large.write_bytes(b" " * (1 << 21))
    before = bad.stat().st_mtime_ns
    assert cli.run(["fmt", str(bad), str(file), str(large)]) == 1
    shown = capsys.readouterr().err
    assert "bad.hw:2:17: error[HW0001]" in shown and "HW0005" in shown
    assert bad.stat().st_mtime_ns == before and file.read_text("utf-8") == TIDY


@pytest.mark.parametrize(("name", "words"), [("no.hw", "no such file"), (".", "is a folder")])
def test_what_is_no_file(name: str, words: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fmt", str(file), str(file.parent / name)]) == 2
    assert words in capsys.readouterr().err and file.read_text("utf-8") == UNTIDY


def test_a_write_that_fails_leaves_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_in_place(file, TIDY)
    assert file.read_text("utf-8") == UNTIDY and list(file.parent.iterdir()) == [file]


def test_windows_line_ends_count_as_a_change(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(TIDY.replace("\n", "\r\n").encode())
    assert cli.run(["fmt", "--check", str(file)]) == 1
    assert capsys.readouterr().out


def test_stock_targets_are_formatted(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fmt", "--check", *map(str, sorted(FOLDER.rglob("*.hw")))]) == 0, "run: autoglmc fmt targets/*.hw targets/std/*.hw"
