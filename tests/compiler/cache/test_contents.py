"""`autoglmc cache`: every cache of ours is shown with its folder, and emptied on request."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from autoglmc.compiler import cli
from autoglmc.compiler.cache.contents import clear, contents
from autoglmc.compiler.cache.entries import write_entry
from autoglmc.compiler.cache.folders import BLOBS, CACHES, cache_folder, cache_root
from autoglmc.compiler.errors import UserError
from autoglmc.grammar.text.table_cache import table_file

Screen = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "autoglmc"


def fill() -> None:
    for name, size in (("a", 1000), ("b", 2000)):
        write_entry(cache_folder("blobs") / name, b"x" * size)
    write_entry(cache_folder("reference") / "c", b"x" * 10)


def run(capsys: Screen, *arguments: str) -> dict[str, Any]:
    assert cli.run(["cache", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_root_is_where_the_parser_keeps_its_tables_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for home in (str(root), "relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        tables = table_file("", {})
        assert tables is not None and tables.parent == cache_folder("grammar")
    assert cache_root() == Path.home() / ".cache" / "autoglmc"
    with pytest.raises(KeyError):
        cache_folder("../elsewhere")


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", staticmethod(none))
    with pytest.raises(UserError, match="this user has no home"):
        contents()


def test_every_cache_is_shown(root: Path, capsys: Screen) -> None:
    assert [one["entries"] for one in run(capsys)["caches"]] == [0] * len(CACHES)
    fill()
    shown = {one["name"]: one for one in run(capsys, "show")["caches"]}
    assert set(shown) == {"blobs", "reference", "ranges", "reports", "grammar"}
    assert (shown["blobs"]["entries"], shown["blobs"]["bytes"], shown["blobs"]["limit"]) == (2, 3000, BLOBS.limit)
    assert shown["blobs"]["path"] == str(root / "blobs") and shown["reference"]["bytes"] == 10
    assert cli.run(["cache"]) == 0
    text = capsys.readouterr().out
    assert "2.9 KiB" in text and all(str(root / name) in text.replace("\n            ", "") for name in shown)


def test_one_cache_is_cleared_or_all(root: Path, capsys: Screen) -> None:
    fill()
    (removed,) = run(capsys, "clear", "blobs")["removed"]
    assert (removed["name"], removed["entries"], removed["bytes"]) == ("blobs", 2, 3000)
    assert os.listdir(root / "blobs") == [] and os.listdir(root / "reference") == ["c"]
    fill()
    assert cli.run(["cache", "clear"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"blobs: 2 entries, 2.9 KiB removed from {root / 'blobs'}"
    assert lines[1] == f"reference: 1 entry, 10 B removed from {root / 'reference'}"
    assert [one.entries for one in contents()] == [0] * len(CACHES) and clear() == contents()


@pytest.mark.parametrize("arguments", [["clear", "blob"], ["show", "blobs"], ["empty"]])
def test_another_word_removes_nothing(arguments: list[str], capsys: Screen) -> None:
    fill()
    assert cli.run(["cache", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: ") and sum(one.entries for one in contents()) == 3


def test_a_wrong_name_beside_a_right_one_removes_nothing(capsys: Screen) -> None:
    fill()
    assert cli.run(["cache", "clear", "reference", "blob"]) == 2
    assert "did you mean 'blobs'?" in capsys.readouterr().err and sum(one.entries for one in contents()) == 3
