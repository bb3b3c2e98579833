"""`autoglmc check FILE.hw`: everything about a file and its includes in one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autoglmc.compiler import cli
from autoglmc.grammar import analyse_file
from autoglmc.targets.stock import stock_names, stock_path

ERRORS = Path(__file__).resolve().parents[2] / "grammar" / "errors"


def test_warnings_fail_only_a_strict_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.hw"
    text = (
        stock_path("x86_cpu")
        .read_text("utf-8")
        .replace("16 GiB ", "16 GB ")
        .replace("memory dram", "limits { latency <= 1 s; } memory dram")
    )
    path.write_text(text, "utf-8")
    assert cli.run(["check", str(path)]) == 0
    lenient = capsys.readouterr()
    assert "warning[HW0107]" in lenient.err and "HW0601" not in lenient.err and lenient.out.startswith("pass")
    assert cli.run(["check", str(path), "--strict"]) == 1
    strict = capsys.readouterr()
    assert "warning[HW0107]" in strict.err and strict.err.count("warning[HW0601]") == text.count("@guess") - 4 and strict.out == ""


def test_json_carries_every_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", str(ERRORS / "many_at_once.hw"), "--json"]) == 1
    shown = capsys.readouterr()
    found = json.loads(shown.out)["error"]["diagnostics"]
    assert shown.err == "" and len(found) == len(analyse_file(ERRORS / "many_at_once.hw").diagnostics) > 5
    assert {"file", "line", "column", "end_line", "end_column", "severity", "code", "message", "help", "notes"} == set(found[0])
    assert cli.run(["check", str(ERRORS / "hw0107_decimal_memory.hw"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed"] and [one["code"] for one in facts["diagnostics"]] == ["HW0107", "HW0513"]


def test_errors_of_included_files_are_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", str(ERRORS / "in_included_file.hw")]) == 1
    shown = capsys.readouterr().err
    assert shown.count("included/part.hw:4:") == 2 and shown.count("note: included here (in_included_file.hw:2)") == 3
    assert shown.count("note: included here (part.hw:2)") == 1


@pytest.mark.parametrize("words", [["check"], ["check", "--strict"]])
def test_checking_imports_nothing_heavy(words: list[str]) -> None:
    files = [str(stock_path(name)) for name in stock_names()]
    code = (
        f"import sys; from autoglmc.compiler.cli import run\nfor file in {files!r}: run([*{words!r}, file])\n"
        "print(sorted({'onnx', 'numpy', 'onnxruntime', 'ortools'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
