"""The house plan, asserted: which folder may import which, no pass imports another, everything ships, start-up stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ARROWS = {
    "targets": set(),
    "grammar": {"targets"},
    "passes": {"targets"},
    "compiler": {"passes", "grammar", "targets"},
}
PASS = re.compile(r"(recover|substitute|expand|reshape|map|fold|fuse|infer|simplify|place|realise|cut|quantize|merge|flatten)_")
"""A pass is a file named verb_object; the other files of passes/ are what passes are written in."""
COLLECTORS = {"library"}
"""Lists rules, so it imports them; it does nothing itself."""
HEAVY = {"onnx", "onnxruntime", "onnxsim", "onnx_graphsurgeon", "ortools", "numpy", "networkx", "rich", "jsonschema", "lark", "sympy"}
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "base.py", "manager.py"}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name inside the repository or outside) of every import, wherever it stands in the file."""
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level], *([node.module] if node.module else [])] if node.level else [node.module or ""]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


@pytest.mark.parametrize("folder", ARROWS)
def test_imports_follow_the_arrows(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(folder)
        for line, name in imports(path)
        if (top := name.split(".")[0]) in ARROWS and top != folder and top not in ARROWS[folder]
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ARROWS)
def test_imports_between_folders_are_relative(folder: str) -> None:
    wrong = [f"{p.relative_to(ROOT)}:{n}: {name}" for p in sources(folder) for n, name in imports(p) if name.split(".")[0] == "autoglmc"]
    assert not wrong


def test_no_pass_imports_another_pass() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources("passes")
        if path.stem not in COLLECTORS
        for line, name in imports(path)
        if (parts := name.split("."))[0] == "passes" and len(parts) > 1 and PASS.match(parts[1]) and parts[1] != path.stem
    ]
    assert not wrong


def test_no_file_is_named_after_nothing() -> None:
    assert not [path for folder in ARROWS for path in sources(folder) if path.name in FORBIDDEN_NAMES]


def test_every_folder_with_code_ships() -> None:
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for folder in ARROWS for path in sources(folder)}
    assert {"autoglmc", *(".".join(["autoglmc", *folder.relative_to(ROOT).parts]) for folder in folders)} == declared


def test_every_data_file_ships() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    tracked = subprocess.run(["git", "ls-files", *ARROWS], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    missing = []
    for name in (Path(name) for name in tracked if not name.endswith(".py")):
        package = next(
            (p for p in name.parents if (ROOT / p / "__init__.py").is_file()), name.parent
        )  # std/ holds no code: its parent ships it
        patterns = data.get(".".join(["autoglmc", *package.parts]), [])
        if not any(pattern.count("/") == len(name.relative_to(package).parts) - 1 and name.match(pattern) for pattern in patterns):
            missing.append(str(name))
    assert not missing


@pytest.mark.parametrize(
    "statement", ["import autoglmc", "from autoglmc.compiler import cli", "from autoglmc.compiler.cli import run; run(['--help'])"]
)
def test_start_up_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_only_the_command_line_prints() -> None:
    allowed = {ROOT / "compiler" / "cli.py", *sources("compiler/commands"), *sources("compiler/report")}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ARROWS
        for path in sources(folder)
        if path not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong
