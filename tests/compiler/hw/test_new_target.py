"""`autoglmc new-target` and `autoglmc targets`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from autoglmc.compiler import cli
from autoglmc.compiler.hw.skeleton import skeleton
from autoglmc.grammar import analyse_text
from autoglmc.grammar.text.format import format_text
from autoglmc.targets.stock import stock_names

FILLED = {
    "name ?": 'name "Box"',
    "opset ?..?": "opset 13..21",
    "size ? GiB": "size 6 GiB",
    "bandwidth ? GB/s": "bandwidth 50 GB/s",
    "npu : ?": "npu : tpu",
    "cpu : ?": "cpu : arm64",
    "runtime ?": "runtime none",
    "peak ? ? TOPS": "peak fp32 1 TFLOPS @guess",
    "dispatch ? us": "dispatch 5 us @guess",
    "launch ? us": "launch 1 us @guess",
    "supports ? {": "supports fp32 { Relu;",
    "via ?": "via shared",
    "handoff ? us": "handoff 5 us @guess",
    "copy ? GB/s": "copy 5 GB/s @guess",
}
OPTIONAL = {
    "budget ? GiB;": "budget 1 GiB;",
    "page ? KiB;": "page 4 KiB;",
    "resident ? MiB;": "resident 300 MiB;",
    "sustained ? %": "sustained 60 %",
    "row ? B": "row 64 B",
    "align ? KiB": "align 16 KiB",
    "multiple ? KiB": "multiple 16 KiB",
    "rank ?": "rank 4",
    "active ? W, idle ? W": "active 2 W, idle 1 W",
    "rank(X) == ?": "rank(X) == 4",
    "<= ? ms": "<= 12 ms",
    "<= ? MiB": "<= 99 MiB",
    ">= ?;": ">= 0.999;",
    "block ?": "block 32",
    "loss <= ? %": "loss <= 1 %",
}


def test_every_open_place_is_an_error_and_nothing_else_is() -> None:
    text = skeleton("box")
    code = [re.sub(r"//.*", "", line) for line in text.splitlines()]
    open_lines = [number for number, line in enumerate(code, 1) if "?" in line]
    found = analyse_text(text, "box.hw").diagnostics
    assert [one.span.origin.line for one in found] == open_lines and all("`?`" in one.message for one in found)
    assert not re.search(r"[0-9]", "".join(code).replace("hw 1;", "")), "a number that nobody stated"


def test_it_passes_when_filled_in() -> None:
    text = re.sub(r"(\w+) +\?", r"\1 ?", skeleton("box"))
    for place, value in FILLED.items():
        text = text.replace(place, value)
    result = analyse_text(text, "box.hw")
    assert result.target is not None and not result.diagnostics, [one.message for one in result.diagnostics]


def test_the_two_memories_of_a_microcontroller_take_the_place_of_one() -> None:
    text = re.sub(r"(\w+) +\?", r"\1 ?", skeleton("box"))
    assert re.search(r"// A microcontroller has these two instead:\n *// memory sram \{.*\n *// memory flash \{", text)
    text = re.sub(r"memory dram \{.*?\n  \}\n", "", text, flags=re.DOTALL)
    text = re.sub(r"// (memory (?:sram|flash) )", r"\1", text)
    for place, value in {**FILLED, "size ? KiB": "size 512 KiB", "size ? MiB": "size 8 MiB"}.items():
        text = text.replace(place, value)
    result = analyse_text(text, "box.hw")
    assert result.target is not None and not result.diagnostics, [one.message for one in result.diagnostics]
    assert [memory.holds for memory in result.target.memories] == [("activations",), ("weights",)]


def test_the_optional_lines_are_right_too() -> None:
    text = re.sub(r"(\w+) +\?", r"\1 ?", skeleton("box"))
    for place, value in FILLED.items():
        text = text.replace(place, value)
    for place, value in OPTIONAL.items():
        assert place in text, place
        text = text.replace(place, value)
    text = re.sub(r"^( *)// (?=[a-zC-R][\w ]+.*[;}]( +//|$))", r"\1", text, flags=re.MULTILINE)
    text = "".join(line for line in text.splitlines(keepends=True) if not re.match(r" *memory (sram|flash) ", line))  # instead of dram
    result = analyse_text(text, "box.hw")
    assert result.target is not None and result.target.limits and result.target.device("npu").denies, [
        d.message for d in result.diagnostics
    ]


def test_it_is_formatted() -> None:
    assert format_text(skeleton("box")) == skeleton("box")


def test_writes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["new-target", "box"]) == 0
    assert "box.hw" in capsys.readouterr().out and (tmp_path / "box.hw").read_text("utf-8") == skeleton("box")
    (tmp_path / "box.hw").write_text("mine", "utf-8")
    assert cli.run(["new-target", "box"]) == 2
    assert "is not overwritten" in capsys.readouterr().err and (tmp_path / "box.hw").read_text("utf-8") == "mine"
    assert cli.run(["new-target", "box", "-o", "other.hw", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "other.hw"
    assert cli.run(["check", "other.hw"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["a b"], "not a valid target name"), (["9x"], "not a valid target name"), (["x", "-o", "no/x.hw"], "folder 'no' does not exist")],
)
def test_wrong_arguments(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["new-target", *arguments]) == 2
    assert words in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(stock_names())
    assert all(re.search(r" \d+ of \d+ numbers guessed", line) and "cpu" in line for line in lines)
    assert cli.run(["targets", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["targets"]}
    assert found["a16"]["devices"] == ["npu", "gpu", "cpu"] and 0 < found["a16"]["guesses"] < found["a16"]["numbers"]
