"""`autoglmc show` and `autoglmc diff` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hw_layers import BOX

from autoglmc.compiler import cli


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "box.hw").write_text(BOX, "utf-8")
    path = tmp_path / "mine.hw"
    path.write_text(
        'hw 1; include "box.hw";\ntarget mine extends box {\n  device npu { dispatch 50 us @guess; supports fp16 { Exp; } }\n}\n'
        "delete &mine.npu.supports Relu, Tanh;\n",
        "utf-8",
    )
    return path


def test_show_is_a_file_that_means_the_same(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["show", str(mine)]) == 0
    shown = capsys.readouterr()
    path = tmp_path / "elsewhere" / "shown.hw"
    path.parent.mkdir()
    path.write_text(shown.out, "utf-8")
    assert shown.err == "" and cli.run(["fmt", "--check", str(path)]) == 0
    assert cli.run(["diff", str(mine), str(path)]) == 0
    assert capsys.readouterr().out == f"{mine} and {path} mean the same\n"


def test_show_as_json(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["show", str(mine), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    values = {value["path"]: value for value in facts["values"]}
    dispatch = values["device.npu.dispatch"]
    assert (dispatch["value"], dispatch["text"], dispatch["provenance"]) == (5e-5, "50 us", "guess")
    assert (dispatch["origin"]["file"], dispatch["origin"]["line"]) == (str(mine), 3)
    assert values["memory.dram.bandwidth"]["note"] == "a page" and facts["name"] == "mine"
    npu = next(device for device in facts["devices"] if device["name"] == "npu")
    assert {rule["operator"] for rule in npu["operators"]} >= {"Conv", "Exp", "Gather"} and npu["rewrites"][0]["rule"] == "decompose"


def test_diff_in_words_and_as_json(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["diff", str(tmp_path / "box.hw"), str(mine)]
    assert cli.run(arguments) == 1
    assert capsys.readouterr().out.splitlines() == [
        "device npu",
        "  ~ dispatch: 100 us -> 50 us (x 0.5)  [mine.hw:3]",
        "  + operators Exp",
        "  - operators Relu, Tanh",
        "device gpu",
        "  + operators Exp",
        "  - operators Relu, Tanh",
    ]
    assert cli.run([*arguments, "--json"]) == 1
    first = json.loads(capsys.readouterr().out)["differences"][0]
    assert (first["section"], first["subject"], first["kind"], first["ratio"]) == ("device npu", "dispatch", "changed", 0.5)
    assert first["new"]["origin"]["line"] == 3 and cli.run(["diff", "a16", "a16"]) == 0


@pytest.mark.parametrize("verb", [["show", "{}"], ["diff", "a16", "{}"]])
def test_what_cannot_be_shown(verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, tables = tmp_path / "bad.hw", tmp_path / "tables.hw"
    bad.write_text("hw 1;\ntarget x { name 'y'; }\n", "utf-8")
    tables.write_text("hw 1;\ntable t { supports fp16 { Relu; } }\n", "utf-8")
    assert cli.run([word.format(bad) for word in verb]) == 1
    assert "bad.hw:2:17" in capsys.readouterr().err
    assert cli.run([word.format(tables) for word in verb]) == 2
    assert "operator tables and no target" in capsys.readouterr().err
    assert cli.run([word.format("a17") for word in verb]) == 2
    assert "did you mean 'a16'?" in capsys.readouterr().err
