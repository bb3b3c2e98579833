"""What an error says to give or to write instead, given and written: the error is gone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler import cli

OPEN = {
    "named": DYNAMIC,
    "unnamed": "g (float[?,4] x, float[?,3,?] z) => (float[?,4] y, float[?,3,?] w) { y = Relu(x) w = Relu(z) }",
    "mixed": "g (float[n,4] x, float[?,n] z) => (float[n,4] y, float[?,n] w) { y = Relu(x) w = Relu(z) }",
    "scalar beside": "g (float[n] x, float s) => (float[n] y) { y = Mul(x, s) }",
}


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str] | None:
    """The error of a command as JSON; None where it ends well."""
    code = cli.run([*arguments, "--json"])
    out = capsys.readouterr().out
    assert code != 3, out
    return json.loads(out)["error"] if code in (1, 2) else None


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("command", ["compile", "why"])
def test_the_shapes_that_are_asked_for_are_enough(name: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(save(parse(OPEN[name]), tmp_path))
    arguments = [command, path, "--target", "a16", *(["--no-verify"] if command == "compile" else [])]
    problem = error_of(arguments, capsys)
    if command == "compile":
        assert problem is not None
    if problem is not None:
        flags = [flag for words in re.findall(r"--shape (\S+)", problem["help"]) for flag in ("--shape", _sized(words))]
        assert flags and error_of([*arguments, *flags], capsys) is None


def _sized(flags: str) -> str:
    return re.sub(r"\bN\b|(?<=[=x])N(?=x|,|$)", "2", flags)


MISSPELT = [
    ["compile", "{model}", "--target", "a17"],
    ["compile", "{model}", "--target", "snapdragon_8gen4"],
    ["compile", "{model}", "--target", "a16", "--disable", "gelu_erff"],
    ["compile", "{model}", "--target", "a16", "--print-after", "simplifi"],
    ["compile", "{model}", "--target", "a16", "--stop-after", "recovr"],
    ["why", "{model}", "--target", "a16", "--device", "npuu"],
    ["why", "{model}", "Relux", "--target", "a16"],
    ["check", "--explain", "HW0199"],
    ["cache", "clear", "refrence"],
    ["compilee", "{model}", "--target", "a16"],
]


@pytest.mark.parametrize("arguments", MISSPELT, ids=" ".join)
def test_what_was_meant_is_taken(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(save(parse(RELU), tmp_path))
    given = [word.format(model=path) for word in arguments]
    problem = error_of(given, capsys)
    assert problem is not None
    meant = re.search(r"did you mean ['`]?(?P<word>[\w-]+)", problem["help"], re.I)
    if meant is None:  # nothing is close: what is known is listed, and each of it is taken
        meant = re.search(r"known: (?P<word>[\w-]+)", problem["help"])
    assert meant is not None, problem
    wrong = next(word for word in given if word in problem["message"] or word.lstrip("-") in problem["message"])
    again = error_of([meant["word"] if word == wrong else word for word in given], capsys)
    assert again is None or (again["message"] != problem["message"] and "did you mean" not in again["help"]), again
