"""`autoglmc check --explain HW0106`, and the line below messages that names it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoglmc.compiler import cli
from autoglmc.compiler.commands.line.explain_hint import explain_hint
from autoglmc.grammar.text.code_examples import examples_of
from autoglmc.grammar.text.codes import CODES

ERRORS = Path(__file__).resolve().parents[2] / "grammar" / "errors"
SHOWN = """\
error[HW0106]: A unit of another dimension, or a number without its unit.

Example (`-` wrong, `+` fixed):

          peak fp16 10 TOPS;
    -     dispatch 100 GB;
    +     dispatch 100 us;
          launch 1 us;

hw0106.bad.hw:17:18: error[HW0106]: `GB` is a unit of size; `dispatch` is a time
   17 |     dispatch 100 GB;
      |                  ^^
      = help: write for example 150 us, 12 ms
"""


@pytest.mark.parametrize("word", ["HW0106", "hw0106"])
def test_a_code_with_its_example(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--explain", word]) == 0
    assert capsys.readouterr() == (SHOWN, "")


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained_by_its_own_message(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--explain", code]) == 0
    shown = capsys.readouterr()
    assert CODES[code].meaning in shown.out and shown.err == ""
    assert shown.out.count("(`-` wrong, `+` fixed)") == len(examples_of(code))
    assert shown.out.count(f"[{code}]") > len(examples_of(code))
    assert str(ERRORS.parents[2]) not in shown.out and ("bad.hw:" in shown.out) == bool(examples_of(code))


def test_json_has_the_example_as_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--explain", "HW0106", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["code"], facts["severity"], facts["meaning"]) == ("HW0106", "error", CODES["HW0106"].meaning)
    (example,) = facts["examples"]
    assert example["difference"] in SHOWN.replace("\n    ", "\n") and example["diagnostics"][0]["code"] == "HW0106"
    assert "dispatch 100 GB;" in example["bad"] and "dispatch 100 us;" in example["fixed"]


@pytest.mark.parametrize(
    ("words", "message", "help"),
    [
        (["--explain", "HW0160"], "unknown code 'HW0160'", "HW0106"),
        (["--explain", "E0308"], "unknown code 'E0308'", "HW0308"),
        (["--explain", ""], "unknown code ''", "codes are HW0001 to HW0709"),
        (["--explain", "HW0106", "a16"], "--explain takes no file", "autoglmc check a16"),
        ([], "no model or target given", "autoglmc check a16"),
    ],
)
def test_a_wrong_request(words: list[str], message: str, help: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {message}\n") and help in said.err and said.out == ""
    assert cli.run(["check", *words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"] == message


def test_messages_end_with_how_to_learn_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", str(ERRORS / "hw0106_decimal_comma.hw")]) == 1
    assert capsys.readouterr().err.endswith("\n\nhelp: `autoglmc check --explain HW0106` explains this code\n")
    assert cli.run(["check", str(ERRORS / "hw0107_decimal_memory.hw")]) == 0
    assert capsys.readouterr().err.endswith("\n\nhelp: `autoglmc check --explain CODE` explains a code: HW0107, HW0513\n")
    assert cli.run(["check", "a16"]) == 0
    assert "--explain" not in capsys.readouterr().err


def test_several_codes_in_one_line() -> None:
    codes = [f"HW010{n}" for n in (1, 2, 1, 3, 4, 5, 6)]
    said = "help: `autoglmc check --explain CODE` explains a code: "
    assert explain_hint(codes[:3]) == f"{said}HW0101, HW0102"
    assert explain_hint(codes) == f"{said}HW0101, HW0102, HW0103, HW0104, HW0105, …"
