"""Every screen at 80 columns as a golden text, and no line of any screen wider than its terminal, on real models.

`compile` and `why` run once; their screens are functions of what --json prints.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from golden import Golden
from models import model_path
from rich.cells import cell_len

from autoglmc.compiler import cli
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.report.compiled import print_compiled
from autoglmc.compiler.report.quote import source_of
from autoglmc.compiler.report.why_screen.print_why import print_why

Screen = pytest.CaptureFixture[str]
REC, CLS = ["rec.onnx", "--shape", "x=1x3x48x320", "--target", "tensor_g2"], ["cls.onnx", "--shape", "x=1x3x48x192", "--target"]
COMPUTED: dict[str, list[str]] = {
    "compile": ["compile", *REC, "-o", "rec.tensor_g2", "--no-verify"],
    "why": ["why", *CLS, "tensor_g2"],
    "why_refused": ["why", *CLS, "ethos_u55_256"],
    "why_operator": ["why", *REC, "Softmax"],
    "why_change": ["why", *CLS, "ethos_u55_256", "HardSwish"],
}
QUICK: dict[str, list[str]] = {
    "check_model": ["check", "cls.onnx"],
    "check_target": ["check", "x86_cpu", "-v"],
    "targets": ["targets"],
    "diff": ["diff", "snapdragon_8gen2", "snapdragon_8gen3"],
    "help": ["--help"],
    **{f"help_{name}": [name, "--help"] for name in ("compile", "run", "verify", "check", "why", "completion")},
}
LONG: dict[str, list[str]] = {"rules": ["rules", "-v"], "diff_far": ["diff", "a16", "tensor_g2"], "targets_verbose": ["targets", "-v"]}
"""Of what others write: only their width is looked at."""
MODELS = {"rec.onnx": "ppocr4_rec", "cls.onnx": "ppocr2_cls"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Screen], dict[str, Any]]:
    """What a command of COMPUTED prints with --json."""
    folder, known = tmp_path_factory.mktemp("models"), dict[str, dict[str, Any]]()
    for short, name in MODELS.items():
        shutil.copy(model_path(name), folder / short)

    def computed(name: str, capsys: Screen) -> dict[str, Any]:
        if name not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                assert cli.run([*COMPUTED[name], "--json"]) == (4 if name == "compile" else 0)
            known[name] = json.loads(capsys.readouterr().out)
        return known[name]

    return computed


def shown(name: str, found: dict[str, Any]) -> None:
    source = source_of(load_target(found["target"]))
    (print_compiled if name == "compile" else print_why)(found, source)


def stripped(capsys: Screen) -> str:
    """Without blanks at the ends of lines."""
    return "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())


def widest(text: str) -> int:
    return max(map(cell_len, text.splitlines()))


@pytest.mark.parametrize("name", COMPUTED)
def test_results_at_80_columns(
    name: str, facts: Callable[[str, Screen], dict[str, Any]], golden: Golden, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = facts(name, capsys)
    monkeypatch.setenv("COLUMNS", "80")
    shown(name, found)
    text = stripped(capsys)
    golden(f"screens/{name}.txt", text)
    assert widest(text) <= 80
    for columns in (40, 64, 100, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown(name, found)
        assert widest(stripped(capsys)) <= columns


@pytest.mark.parametrize("name", QUICK)
def test_texts_at_80_columns(name: str, tmp_path: Path, golden: Golden, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(model_path("ppocr2_cls"), tmp_path / "cls.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run(QUICK[name]) in (0, 1)
    text = stripped(capsys)
    golden(f"screens/{name}.txt", text)
    assert widest(text) <= 80


@pytest.mark.parametrize("columns", [40, 80, 100])
@pytest.mark.parametrize("name", LONG)
def test_no_line_is_wider_than_the_screen(name: str, columns: int, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.run(LONG[name]) in (0, 1)
    assert widest(stripped(capsys)) <= columns


def test_the_command_prints_the_screen_of_its_json(
    facts: Callable[[str, Screen], dict[str, Any]], tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown("why", facts("why", capsys))
    expected = stripped(capsys)
    shutil.copy(model_path("ppocr2_cls"), tmp_path / "cls.onnx")
    monkeypatch.chdir(tmp_path)
    assert cli.run(COMPUTED["why"]) == 0
    assert stripped(capsys) == expected
