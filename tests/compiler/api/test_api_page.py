"""docs/api.md is what the docstrings say now, covers all of the API, and its examples run."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pytest
from models import model_path

import autoglmc

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "api.md"
NAMES = sorted(set(autoglmc.__all__) - {"__version__"})


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_api", ROOT / "tools" / "generate_api.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate_api"] = module
    spec.loader.exec_module(module)
    return module


TOOL = tool()


def functions(name: str) -> list[ast.FunctionDef]:
    node = TOOL.definition(name)
    return list(TOOL.public_methods(node)) if isinstance(node, ast.ClassDef) else [node]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == TOOL.page(), "python tools/generate_api.py"


def test_the_page_covers_every_name_once() -> None:
    listed = [name for _, names in TOOL.GROUPS for name in names]
    assert sorted(listed) == sorted(autoglmc.__all__)


def test_every_name_can_be_imported_and_is_where_it_says() -> None:
    assert set(autoglmc._HOMES) == set(NAMES)
    for name in NAMES:
        assert getattr(autoglmc, name).__module__ == autoglmc._HOMES[name], name
    assert autoglmc.__version__ == "0.1.0"
    assert set(autoglmc.__all__) <= set(dir(autoglmc))
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        _ = autoglmc.compil


def test_names_for_mypy_are_those_of_the_table() -> None:
    """The imports under TYPE_CHECKING are what users' type checkers see; _HOMES is what runs."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: part.module for part in block.body if isinstance(part, ast.ImportFrom) for name in part.names}
    assert seen == autoglmc._HOMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_docstrings_and_types(name: str) -> None:
    node = TOOL.definition(name)
    assert ast.get_docstring(node), name
    if isinstance(node, ast.ClassDef):
        assert not [field for field, kind, text in TOOL.fields(node) if not (kind and text) and field not in ("exit_code", "kind")]
    for function in functions(name):
        assert ast.get_docstring(function) and function.returns is not None, f"{name}.{function.name}"
        arguments = [*function.args.args, *function.args.kwonlyargs]
        assert all(argument.annotation for argument in arguments if argument.arg not in ("self", "cls")), f"{name}.{function.name}"


@pytest.mark.parametrize("name", [name for name in NAMES if name[0].islower()])
def test_every_argument_is_explained(name: str) -> None:
    (function,) = functions(name)
    text = ast.get_docstring(function) or ""
    for argument in (*function.args.args, *function.args.kwonlyargs):
        assert argument.arg in text, f"{name}({argument.arg})"


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the top, in a folder with the model."""
    shutil.copy(model_path("lightnet"), tmp_path / "lightnet.onnx")
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(PAGE.read_text(encoding="utf-8").replace("\n```\n", "\n\n"), {}, "api.md", str(PAGE), 0)
    assert len(example.examples) > 20
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=told.append)
    assert not told, "".join(told)


def test_the_example_of_the_package_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(model_path("lightnet"), tmp_path / "lightnet.onnx")
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(autoglmc.__doc__ or "", {"numpy": numpy}, "autoglmc", None, 0)
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=told.append)
    assert example.examples and not told, "".join(told)
