"""docs/rules.md is what the library says now, and the mutation check has seen every rule file."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from autoglmc.passes.library import every_rule

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == tool("generate_rules").page(), "python tools/generate_rules.py"


def test_the_page_names_every_rule_once() -> None:
    names = re.findall(r"^\| `(\w+)` \|", tool("generate_rules").page(), re.M)
    assert len(names) == len(set(names))
    assert {rule.name for rule in every_rule()} <= set(names)


def test_the_mutation_check_has_seen_every_file_of_rules() -> None:
    """Renewed by tools/mutate_rules.py where a file's numbers are no longer as many."""
    lines = (ROOT / "docs" / "mutations.txt").read_text(encoding="utf-8").splitlines()
    counted = {name: int(every) for name, every, _ in (line.split("\t") for line in lines if not line.startswith("\t"))}
    mutate = tool("mutate_rules")
    assert {mutate.label(path): len(list(mutate.constants(path))) for path in mutate.files_of_rules()} == counted
