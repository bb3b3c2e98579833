"""The parser's tables in the user's cache: read as they were built, never from where others could write, and never missed."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lark import Lark, UnexpectedCharacters, UnexpectedInput

from autoglmc.grammar.text.parser import GRAMMAR, OPTIONS, parser
from autoglmc.grammar.text.table_cache import load_tables, save_tables, table_file
from autoglmc.targets.stock import stock_path

from ..test_language_page import tool

TEXT = GRAMMAR.read_text("utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a parser that is not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    parser.cache_clear()
    return tmp_path


def only_file(home: Path) -> Path:
    (file,) = (home / "autoglmc" / "grammar").iterdir()
    return file


class Trap:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_kept_tables_read_as_built_ones(home: Path) -> None:
    """The same tree, or the same place and the same terminals there, for whole texts and for mutated ones."""
    built = Lark(TEXT, **OPTIONS)
    file = table_file(TEXT, OPTIONS)
    assert file is not None and load_tables(file) is None
    save_tables(built, file)
    kept = load_tables(file)
    assert kept is not None
    fuzz = tool("fuzz_language")
    large, small = fuzz.originals()
    mutated = (fuzz.mutated(number, 5, large, small).decode("utf-8", "replace") for number in range(150))
    texts = [*(text.decode() for text in large), *(text for text in mutated if len(text) < 20_000)]
    assert [text for text in texts if _read(kept, text) != _read(built, text)] == []
    assert 25 < sum(isinstance(_read(kept, text)[0], int) for text in texts) < len(texts) - 25


def _read(lark: Lark, text: str) -> tuple[Any, ...]:
    try:
        return _plain(lark.parse(text))
    except UnexpectedInput as error:
        expected = error.allowed if isinstance(error, UnexpectedCharacters) else error.expected  # type: ignore[attr-defined]
        return error.pos_in_stream, error.line, error.column, expected


def _plain(tree: Any) -> tuple[Any, ...]:
    if isinstance(tree, str):
        return tree.type, str(tree), tree.start_pos, tree.end_pos  # type: ignore[attr-defined]
    return str(tree.data), [_plain(child) for child in tree.children]


def test_the_first_use_keeps_the_tables_for_this_user_alone(home: Path) -> None:
    parser()
    file = only_file(home)
    assert file == table_file(TEXT, OPTIONS)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    before = file.stat().st_mtime_ns
    parser.cache_clear()
    assert parser().parse("hw 1;").data == "start" and file.stat().st_mtime_ns == before


def test_a_file_is_of_one_grammar_one_lark_one_python(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {table_file(TEXT, OPTIONS), table_file(TEXT + "\n", OPTIONS), table_file(TEXT, {**OPTIONS, "lexer": "basic"})}
    monkeypatch.setattr("lark.__version__", "1.3.99")
    names.add(table_file(TEXT, OPTIONS))
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    names.add(table_file(TEXT, OPTIONS))
    assert len(names) == 5


@pytest.mark.parametrize("others", [0o666, 0o620, 0o602], ids=["all", "group", "world"])
def test_a_file_that_others_can_write_is_not_read(home: Path, others: int) -> None:
    parser()
    file = only_file(home)
    trap = pickle.dumps(Trap(home / "trace"))
    file.write_bytes(hashlib.sha256(trap).digest() + trap)
    file.chmod(others)
    assert load_tables(file) is None
    assert not (home / "trace").exists()
    file.chmod(0o600)
    load_tables(file)
    assert (home / "trace").exists()  # so the trap does work


@pytest.mark.parametrize("others", [0o777, 0o770, 0o722])
def test_a_folder_that_others_can_write_is_not_used(home: Path, others: int) -> None:
    parser()
    file = only_file(home)
    file.parent.chmod(others)
    assert load_tables(file) is None
    file.unlink()
    save_tables(parser(), file)
    assert not list(file.parent.iterdir())


def test_what_belongs_to_another_user_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parser()
    file = only_file(home)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert load_tables(file) is None


def test_a_link_is_not_followed(home: Path) -> None:
    parser()
    file = only_file(home)
    moved = home / "elsewhere"
    file.rename(moved)
    file.symlink_to(moved)
    assert load_tables(file) is None


@pytest.mark.parametrize("damage", [b"", b"no pickle", b"\x80\x05."], ids=["empty", "text", "cut"])
def test_a_damaged_file_is_replaced(home: Path, damage: bytes) -> None:
    parser()
    file = only_file(home)
    whole = file.stat().st_size
    file.write_bytes(damage)
    parser.cache_clear()
    assert parser().parse("hw 1;").children
    assert file.stat().st_size > whole / 2 and load_tables(file) is not None


def test_no_flipped_bit_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it would unpickle to; it is not even tried."""
    parser()
    file = only_file(home)
    whole = file.read_bytes()
    monkeypatch.setattr(Lark, "load", lambda opened: pytest.fail("what was changed is unpickled"))
    for at in (*range(0, len(whole), len(whole) // 50), len(whole) - 1):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        assert load_tables(file) is None, at


def test_without_a_place_for_the_cache_all_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))  # a file where a folder should be: true for root as well
    assert parser().parse("hw 1;").children
    assert sorted(path.name for path in home.iterdir()) == ["file"]


def test_a_relative_cache_home_is_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(home))
    assert table_file(TEXT, OPTIONS) == home / ".cache" / "autoglmc" / "grammar" / only_name(TEXT)


def only_name(text: str) -> str:
    file = table_file(text, OPTIONS)
    assert file is not None
    return file.name


def test_processes_that_start_at_once_all_read_and_leave_one_file(home: Path) -> None:
    code = "import sys; from autoglmc.grammar import load_target; from pathlib import Path; print(load_target(Path(sys.argv[1])).name)"
    command = [sys.executable, "-c", code, str(stock_path("x86_cpu"))]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0].strip() for process in running] == ["x86_cpu"] * 3
    assert load_tables(only_file(home)) is not None
