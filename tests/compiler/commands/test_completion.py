"""What a shell gets between two keystrokes: the protocol that the script of `autoglmc completion` speaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoglmc.compiler import cli
from autoglmc.compiler.pipeline.table import PIPELINE
from autoglmc.passes.library import every_rule
from autoglmc.targets.stock import stock_names

Screen = pytest.CaptureFixture[str]


def complete(line: str, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Plain completions of the last word of the line, as bash asks for them; "FILE" where files may stand."""
    words = line.split(" ")
    monkeypatch.setenv("_AUTOGLMC_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit) as done:
        cli.run([])
    assert done.value.code == 0
    answers = [answer.split(",", 1) for answer in capsys.readouterr().out.split()]
    assert {kind for kind, _ in answers} <= {"plain", "file"}
    return ["FILE" if kind == "file" else text for kind, text in answers]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("autoglmc ver", ["FILE", "verify"]),
        ("autoglmc model.onnx --target sna", ["FILE", "snapdragon_8gen2", "snapdragon_8gen3"]),
        ("autoglmc compile model.onnx --target te", ["FILE", "tensor_g2", "tensor_g2_litert"]),
        ("autoglmc why m.onnx --target ", ["FILE", *stock_names()]),
        ("autoglmc check x86", ["FILE", "x86_cpu"]),
        ("autoglmc diff a16 ethos", ["FILE", "ethos_u55_256", "ethos_u85_512"]),
        ("autoglmc why m.onnx --target a16 --device ", ["npu", "gpu", "cpu"]),
        ("autoglmc why m.onnx --target none_such --device ", []),
        ("autoglmc what-if m.onnx --target a16 --set npu.d", ["npu.dispatch="]),
        ("autoglmc what-if m.onnx --target a16,tensor_g2 --sweep limits.mem", ["limits.memory.peak="]),
        ("autoglmc what-if m.onnx --target none_such --set npu.d", []),
        ("autoglmc m.onnx --target a16 --disable recover_ge", ["recover_gelu", "recover_gelu_tanh"]),
        ("autoglmc m.onnx --stop-after re", [row.name for row in PIPELINE if row.name.startswith("re")]),
        ("autoglmc run ", ["FILE"]),
        ("autoglmc run b --input ", ["FILE"]),
        ("autoglmc completion f", ["fish"]),
        ("autoglmc verify --quie", ["--quiet"]),
        ("autoglmc model.onnx --verb", ["--verbose"]),
    ],
)
def test_a_word_is_completed(line: str, found: list[str], capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(line, capsys, monkeypatch) == found


def test_every_rule_and_every_command_can_be_completed(capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(complete("autoglmc m.onnx --disable ", capsys, monkeypatch)) == {rule.name for rule in every_rule()}
    assert set(complete("autoglmc ", capsys, monkeypatch)) == {"FILE", *cli.autoglmc.commands}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_program_and_its_protocol(shell: str, capsys: Screen) -> None:
    assert cli.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_AUTOGLMC_COMPLETE={shell}_complete" in script and "autoglmc" in script.splitlines()[0] + script.splitlines()[-1] + script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_itself_completes_with_the_script(tmp_path: Path, capsys: Screen) -> None:
    """The script is read by a real bash, whose completion function is called as on a Tab."""
    assert cli.run(["completion", "bash"]) == 0
    (tmp_path / "script.sh").write_text(capsys.readouterr().out)
    program = tmp_path / "autoglmc"
    program.write_text(f"#!{sys.executable}\nfrom autoglmc.compiler.cli import main\nmain()\n")
    program.chmod(0o755)
    press_tab = """
compopt() { :; }
source script.sh
COMP_WORDS=(autoglmc model.onnx --target ten); COMP_CWORD=3
_autoglmc_completion autoglmc ten --target
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", press_tab], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert (done.stdout, done.returncode) == ("tensor_g2 tensor_g2_litert\n", 0), done.stderr


def test_completing_a_target_imports_nothing_heavy() -> None:
    code = (
        "import atexit, sys\n"
        "heavy = {'onnx', 'numpy', 'onnxruntime', 'ortools', 'rich'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "from autoglmc.compiler.cli import main; main()"
    )
    env = {
        **os.environ,
        "_AUTOGLMC_COMPLETE": "bash_complete",
        "COMP_WORDS": "autoglmc why m.onnx --target a16 --device n",
        "COMP_CWORD": "6",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr.strip()) == ("plain,npu\n", "[]")


def test_the_help_and_the_page_give_the_same_lines_for_each_shell(capsys: Screen) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "command-line.md").read_text("utf-8")
    assert cli.run(["completion", "--help"]) == 0
    lines = dict(
        line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.strip().startswith(("bash ", "zsh ", "fish "))
    )
    assert set(lines) == {"bash", "zsh", "fish"} and all(f"`{command.strip()}`" in page for command in lines.values())
