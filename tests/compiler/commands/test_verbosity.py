"""-q and -v mean the same everywhere: less or more text, the same work and the same exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hw_layers import BOX
from small_models import RELU, parse, save

from autoglmc.compiler import cli

Screen = pytest.CaptureFixture[str]
QUIET = {
    "bench",
    "report",
    "export",
    "calibrate",
    "compile",
    "run",
    "generate",
    "verify",
    "check",
    "why",
    "rules",
    "targets",
    "diff",
    "new-target",
    "fmt",
    "probe",
    "what-if",
}
VERBOSE = {"calibrate", "compile", "run", "verify", "check", "why", "rules", "targets", "probe", "what-if"}
JSON = QUIET | {"show", "cache", "compare"}
NEITHER = {"lsp", "completion"}
"""What they print is for another program."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(parse(RELU), tmp_path)


@pytest.fixture
def bundle(model: Path, capsys: Screen) -> Path:
    assert cli.run([str(model), "--target", "x86_cpu", "-q"]) == 0
    assert capsys.readouterr().err == ""
    return model.with_name("model.x86_cpu")


def test_which_commands_have_them() -> None:
    options = {name: {word for p in command.params for word in p.opts} for name, command in cli.autoglmc.commands.items()}
    for words, names in ((("-q", "--quiet"), QUIET), (("-v", "--verbose"), VERBOSE), (("--json",), JSON)):
        assert {name for name, known in options.items() if set(words) <= known} == names
    assert set(options) == JSON | NEITHER


def test_every_command_is_in_one_section_of_the_help(capsys: Screen) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    for name in cli.autoglmc.commands:
        assert len(re.findall(rf"^  {name} +[A-Z]", text, re.MULTILINE)) == 1
    assert "Examples:" in text and re.search(r"^  130 +interrupted$", text, re.MULTILINE)


@pytest.mark.parametrize("words", [["-q", "-v"], ["--quiet", "--verbose"], ["-qv"]])
def test_they_exclude_each_other(words: list[str], model: Path, capsys: Screen) -> None:
    assert cli.run([str(model), "--target", "x86_cpu", *words]) == 2
    assert "--quiet and --verbose exclude each other" in capsys.readouterr().err


def test_quiet_compiling_prints_the_folder(model: Path, capsys: Screen) -> None:
    assert cli.run([str(model), "--target", "x86_cpu", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (f"{model.with_name('model.x86_cpu')}\n", "")
    assert cli.run([str(model), "--target", "x86_cpu", "-q", "--stop-after", "recover"]) == 0
    assert capsys.readouterr().out == f"{model.with_name('model.recover.onnx')}\n"


def test_verbose_compiling_prints_stages_with_their_time(model: Path, capsys: Screen) -> None:
    assert cli.run([str(model), "--target", "x86_cpu", "-v"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"^ +\d+\.\d\d s  place-operators$", shown.err, re.MULTILINE)
    assert re.search(r"^recover +[\d.]+ [mu]s$", shown.out, re.MULTILINE) and "all stages" in shown.out


def test_quiet_run_and_verify_print_a_line(model: Path, bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((1, 4), np.float32))
    assert cli.run(["run", str(bundle), "--input", str(tmp_path / "x.npz"), "-o", str(tmp_path / "y.npz"), "-q"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("total     1 run: best") and shown.out.count("\n") == 1 and shown.err == ""
    assert (tmp_path / "y.npz").is_file()
    assert cli.run(["verify", str(model), str(bundle), "-q"]) == 0
    assert re.fullmatch(r"verify    verified: [^\n]+(\n            [^\n]+)*\n", capsys.readouterr().out)


def test_quiet_checks_print_what_fails(model: Path, tmp_path: Path, capsys: Screen) -> None:
    assert cli.run(["check", str(model), "-q"]) == 0
    assert cli.run(["check", "x86_cpu", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    broken = save(parse(RELU, opset=999), tmp_path)
    assert cli.run(["check", str(broken), "-q"]) == 1
    assert "fail    versions" in (shown := capsys.readouterr().out) and "pass" not in shown
    (tmp_path / "odd.hw").write_text("hw 1; target t { nonsense; }")
    assert cli.run(["check", str(tmp_path / "odd.hw"), "-q"]) == 1
    assert "error[HW" in capsys.readouterr().err


def test_quiet_lists_are_names(capsys: Screen) -> None:
    assert cli.run(["targets", "-q"]) == 0
    assert "x86_cpu\n" in (shown := capsys.readouterr().out) and " " not in shown
    assert cli.run(["rules", "-q"]) == 0
    assert "recover_gelu\n" in (shown := capsys.readouterr().out) and " " not in shown
    assert cli.run(["diff", "a16", "x86_cpu", "-q"]) == 1 and cli.run(["diff", "a16", "a16", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_json_is_the_same_however_much_is_printed(model: Path, capsys: Screen) -> None:
    found = []
    for words in ([], ["-q"], ["-v"]):
        assert cli.run(["why", str(model), "--target", "x86_cpu", "--json", *words]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] == found[2]


def test_quiet_hides_warnings_of_a_target_and_not_its_errors(model: Path, tmp_path: Path, capsys: Screen) -> None:
    odd = tmp_path / "odd.hw"
    odd.write_text(BOX.replace("size 6 GiB", "size 6 GB"), "utf-8")
    arguments = [str(model), "--target", str(odd), "--no-verify", "-o", str(tmp_path / "b")]
    assert cli.run(arguments) == 4
    assert "warning[HW0107]" in capsys.readouterr().err
    assert cli.run([*arguments, "-q"]) == 4
    assert capsys.readouterr().err == ""
    odd.write_text("hw 1; target t { nonsense; }", "utf-8")
    assert cli.run([*arguments, "-q"]) == 1
    assert "error[HW" in capsys.readouterr().err
