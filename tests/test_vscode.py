"""The extension for VS Code: its files are valid, and it highlights the words that the language has."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from autoglmc.grammar.words.properties import PROPERTIES

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "editors" / "vscode"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_highlighting", ROOT / "tools" / "generate_highlighting.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["package.json", "language-configuration.json", "syntaxes/hw.tmLanguage.json"])
def test_files_are_json(name: str) -> None:
    assert isinstance(json.loads((FOLDER / name).read_text("utf-8")), dict)


def test_what_the_extension_names_is_there() -> None:
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    [language], [grammar] = package["contributes"]["languages"], package["contributes"]["grammars"]
    assert language["extensions"] == [".hw"] and grammar["language"] == language["id"]
    for name in (package["main"], language["configuration"], grammar["path"]):
        assert (FOLDER / name).is_file(), name
    assert grammar["scopeName"] == json.loads((FOLDER / grammar["path"]).read_text("utf-8"))["scopeName"]


def test_the_words_are_those_of_the_language() -> None:
    tool = generator()
    assert (FOLDER / "syntaxes" / "hw.tmLanguage.json").read_text("utf-8") == tool.text(), "run tools/generate_highlighting.py"
    assert {"where", "else", "and", "rule", "match"} <= set(tool.control_words())
    assert set(tool.block_words()) | set(tool.control_words()) >= {word for rows in PROPERTIES.values() for word in rows}


def test_the_patterns_find_what_they_are_for() -> None:
    patterns = {item["name"]: item["match"] for item in generator().grammar()["patterns"] if "match" in item and "name" in item}
    assert re.search(patterns["keyword.other.hw"], "  dispatch 150 us;")
    assert not re.search(patterns["keyword.other.hw"], "  my_dispatch 150 us;")
    assert re.fullmatch(patterns["entity.name.function.operator.hw"], "com.microsoft::Gelu")
    assert re.fullmatch(patterns["storage.modifier.provenance.hw"], "@guess")
    [numbers] = [item["match"] for item in generator().grammar()["patterns"] if "captures" in item]
    found = re.search(numbers, "bandwidth 51.2 GB/s;")
    assert found and found.groups() == ("51.2", "GB/s")
