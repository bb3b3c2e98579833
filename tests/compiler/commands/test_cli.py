from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from models import model_path
from small_models import RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.commands.line.failures import INTERNAL, INTERRUPTED
from autoglmc.compiler.errors import Infeasible, ModelError
from autoglmc.compiler.precision.asked_accuracy import NOTHING
from autoglmc.targets.stock import stock_path

CALLS = "autoglmc.compiler.driver.entries.compile_asked"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for the driver: records what it is asked; the model name decides what happens."""
    asked: list[dict[str, Any]] = []

    def compile_model(model: Path, target: str, **options: Any) -> Any:
        asked.append({"model": model, "target": target, **options})
        problem = {
            "bad.onnx": ModelError("it is bad", where="bad.onnx", help="fix it"),
            "tight.onnx": Infeasible("memory dram", 2.0, 1.0, ["more"]),
            "bug.onnx": ZeroDivisionError("division by zero"),
            "ctrl-c.onnx": KeyboardInterrupt(),
            "full.onnx": OSError(28, "No space left on device", "/out"),
            "huge.onnx": MemoryError(),
        }.get(model.name)
        if problem:
            raise problem
        return SimpleNamespace(as_json=lambda: {"bundle": model.name, "verified": asked[-1]["verify"]})

    monkeypatch.setattr(f"{CALLS}.compile_model", compile_model)
    monkeypatch.setitem(sys.modules, "autoglmc.compiler.report.compiled", SimpleNamespace(print_compiled=lambda *facts: print("summary")))
    return asked


def test_a_first_word_that_is_no_command_is_a_model(compiled: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["m.onnx", "--target", "a16", "--shape", "batch=1,seq=32", "--shape", "x=1x3", "-o", "out", "--no-verify"]) == 4
    options = {
        "shapes": {"batch": 1, "seq": 32, "x": (1, 3)},
        "output": Path("out"),
        "verify": False,
        "emulate": False,
        "effort": 1.0,
        "objective": "latency",
        "require_verified": None,
        "expect": None,
        "sign": None,
        "precision": None,
        "prune": None,
        "accuracy": NOTHING,
        "compress": False,
        "no_fallback": False,
        "resident": None,
    }
    asked = {**compiled[0], "target": compiled[0]["target"].name}
    assert callable(asked.pop("progress")) and asked.pop("search").attempts == 32
    assert asked == {"model": Path("m.onnx"), "target": "a16", **options}
    assert capsys.readouterr().out == "summary\n"


def test_options_may_come_before_the_model(compiled: list[dict[str, Any]]) -> None:
    assert cli.run(["--target", "a16", "--emulate", "m.onnx"]) == 0
    assert compiled[0]["emulate"] and compiled[0]["verify"] and compiled[0]["output"] is None


def test_json_is_all_there_is_on_stdout(compiled: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["m.onnx", "--target", "a16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"bundle": "m.onnx", "verified": True}


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("bad.onnx", 1, "error: it is bad\n  at: bad.onnx\n  help: fix it\n"),
        ("tight.onnx", 1, "memory dram: 2 needed, 1 allowed"),
        ("full.onnx", 1, "No space left on device\n  at: /out"),
        ("huge.onnx", 1, "not enough memory"),
        ("ctrl-c.onnx", INTERRUPTED, "interrupted"),
    ],
)
def test_failures_are_one_message(
    compiled: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], model: str, code: int, words: str
) -> None:
    assert cli.run([model, "--target", "a16"]) == code
    shown = capsys.readouterr()
    assert words in shown.err and shown.out == "" and "Traceback" not in shown.err


def test_failures_in_json(compiled: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bad.onnx", "--target", "a16", "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"] == {
        "kind": "model",
        "exit_code": 1,
        "message": "it is bad",
        "where": "bad.onnx",
        "help": "fix it",
    }
    assert shown.err == ""


def test_a_fault_of_ours_saves_a_report(compiled: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bug.onnx", "--target", "a16"]) == INTERNAL
    shown = capsys.readouterr().err
    assert "Traceback" not in shown and "please report" in shown
    (found,) = re.findall(r"\S*autoglmc-report-\S*\.txt", shown)
    path = Path(found)
    text = path.read_text()
    path.unlink()
    assert "ZeroDivisionError" in text and "autoglmc bug.onnx --target a16" in text and "onnxruntime" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["m.onnx"], "Missing option '--target'\n  help: a .hw file, or one of a16, "),
        (["--target", "a16"], "Missing argument 'MODEL…'"),
        (["m.onnx", "--target", "a16", "--nonsense"], "No such option '--nonsense'"),
        (["m.onnx", "--target", "a16", "--shape", "x=q"], "cannot read --shape 'x=q'"),
        (["verfy", "a", "b"], "did you mean 'verify'?"),
        (["run", "bundle", "--input", "no.npz", "--repeat", "0"], "--repeat"),
        (["check", "no.onnx"], "no such file: no.onnx"),
    ],
)
def test_wrong_arguments_exit_with_2(
    compiled: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cli.run(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err and shown.out == ""
    assert cli.run([*arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2


def test_warnings_about_a_target_are_told_and_stdout_stays_clean(
    compiled: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.hw"
    path.write_text(stock_path("x86_cpu").read_text().replace("size      16 GiB", "size      16 GB"))
    for arguments in (["m.onnx", "--target", str(path), "--json"], ["check", str(path)]):
        assert cli.run(arguments) == 0
        shown = capsys.readouterr()
        assert shown.out.startswith(("{", "pass ")) and shown.err.count("warning[HW0107]") == 1 and "^^^" in shown.err


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 2
    assert "Usage: autoglmc" in capsys.readouterr().err
    assert cli.run(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out
    assert cli.run(["--version"]) == 0


def test_check_prints_five_lines_and_exits_with_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", str(model_path("lightnet"))]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["pass", name] for name in ("format", "versions", "structure", "weights", "forward")
    ]
    broken = save(parse(RELU, opset=999), tmp_path)
    assert cli.run(["check", str(broken), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed"] is False and {check["name"]: check["status"] for check in facts["checks"]}["versions"] == "fail"


def test_terminating_a_run_is_an_interruption() -> None:
    """A real process, told to end while it works: it must come out through the same door as Ctrl-C."""
    code = (
        f"import sys, time; from autoglmc.compiler import cli; import {CALLS} as calls\n"
        "def work(*a, **k):\n print('working', flush=True); time.sleep(60)\n"
        "calls.compile_model = work\n"
        "sys.exit(cli.run(['m.onnx', '--target', 'a16']))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "working\n"
    child.send_signal(signal.SIGTERM)
    _, shown = child.communicate(timeout=30)
    assert child.returncode == INTERRUPTED and "interrupted" in shown and "Traceback" not in shown


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -c 'from autoglmc.compiler.cli import main; main()' check {model_path('lightnet')} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert done.stderr == ""


@pytest.mark.parametrize("words", ["targets", "targets --json", "--help", "--version", "no.onnx --json", "check no.onnx --json", "rules"])
@pytest.mark.parametrize("stream", [">/dev/full", ">/dev/full 2>/dev/full", ">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_streams_that_cannot_be_written(words: str, stream: str, unbuffered: str) -> None:
    command = f"{sys.executable} -c 'from autoglmc.compiler.cli import main; main()' {words} {stream}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    full = stream.startswith(">/dev/full")
    assert done.returncode in ((1, 2) if full else (0, 2)) and "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert done.stderr.count("error: ") == (1 if stream == ">/dev/full" else done.stderr.count("error: no such file"))


def test_help_imports_only_the_command_line() -> None:
    """Of ours: cli, commands and what their definitions need. What computes, and rich, is imported when a command runs."""
    code = "import sys; from autoglmc.compiler.cli import run; run(['--help']); print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    ours = {".".join(name.split(".")[1:3]) for name in loaded if name.startswith("autoglmc.")}
    files = {"activity", "board", "cli", "differing_digits", "errors", "free_memory", "parent", "quantities"}
    folders = {"commands", "devices", "guard", "report"}
    assert ours == {"compiler", *(f"compiler.{name}" for name in files | folders)}
    assert not {"numpy", "onnx", "onnxruntime", "rich", "json", "subprocess", "asyncio"} & set(loaded)
