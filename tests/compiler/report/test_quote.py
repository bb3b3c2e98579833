"""Screens and errors quote the line of the .hw file that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.report.quote import SourceLines, source_of
from autoglmc.targets.stock import stock_path

Screen = pytest.CaptureFixture[str]


def test_lines_by_the_names_that_messages_give_them(tmp_path: Path) -> None:
    (tmp_path / "a.hw").write_text("hw 1;\n\n  launch 1 us;\n")
    source = SourceLines({"a.hw": tmp_path / "a.hw", "gone.hw": tmp_path / "gone.hw"})
    assert list(source.quotes("a guess (a.hw:3), and `a.hw:1`: a.hw:3")) == ["    3 | launch 1 us;", "    1 | hw 1;"]
    assert not list(source.quotes("a.hw:2 is empty, a.hw:99 and a.hw:0 are not there, nor gone.hw:1 and other.hw:1; aa.hw:1"))
    seen = {"a.hw:1"}
    assert list(source.quotes("a.hw:1 a.hw:3", seen)) == ["    3 | launch 1 us;"] and seen == {"a.hw:1", "a.hw:3"}


def test_every_file_that_a_target_comes_from_is_known() -> None:
    source = source_of(load_target("a16"))
    for path in (stock_path("a16"), stock_path("a16").parent / "std" / "coreml_mlprogram.hw"):
        lines = path.read_text("utf-8").splitlines()
        number = next(k for k, line in enumerate(lines, 1) if line.startswith("  ") and line.strip())
        assert source.line(path.name, number) == lines[number - 1].strip() != ""


def test_two_files_of_one_name_are_not_quoted(tmp_path: Path) -> None:
    from autoglmc.targets.origin import Origin

    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.hw").write_text("hw 1;\n")
    origins = [Origin(str(tmp_path / folder / "a.hw"), 1, 1) for folder in ("one", "two")]
    assert source_of(origins[:1]).line("a.hw", 1) == "hw 1;" and source_of(origins).line("a.hw", 1) == ""


def limited(folder: Path, limit: str) -> Path:
    path = folder / "mine.hw"
    path.write_text(stock_path("x86_cpu").read_text("utf-8").replace("memory dram", f"limits {{ {limit} }}\n  memory dram", 1), "utf-8")
    return path


def test_a_limit_that_holds_and_one_that_is_broken_are_quoted(tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    model = save(parse(RELU), tmp_path)
    assert cli.run([str(model), "--target", str(limited(tmp_path, "latency <= 1 s;")), "--no-verify"]) == 4
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    named = next(k for k, line in enumerate(lines) if "latency" in line and "<= 1 s" in line)
    assert any(line.endswith("| limits { latency <= 1 s; }") for line in lines[named : named + 3]), lines
    assert cli.run([str(model), "--target", str(limited(tmp_path, "latency <= 1 ns;")), "--no-verify"]) == 1
    shown = capsys.readouterr().err
    place = shown.index("at: mine.hw:")
    assert shown[place:].splitlines()[1].endswith("| limits { latency <= 1 ns; }")


def test_json_has_the_places_and_no_quotes(tmp_path: Path, capsys: Screen) -> None:
    model = save(parse(RELU), tmp_path)
    assert cli.run([str(model), "--target", str(limited(tmp_path, "latency <= 1 ns;")), "--no-verify", "--json"]) == 1
    shown = capsys.readouterr().out
    assert '"where": "mine.hw:' in shown and " | limits" not in shown
