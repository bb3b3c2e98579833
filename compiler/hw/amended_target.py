"""A change to a target, applied to a copy of its text and checked like any file: what is advised is what was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...grammar import HwError, Source, load_source, read_source
from ...grammar.analyse import analyse
from ...grammar.rule_facts import rule_facts
from ...targets.model import Target


def amended_target(path: Path, name: str, statements: Sequence[tuple[str, str]]) -> Target | None:
    """The target `name` of the file with these statements in place of what it says, as a file that extends it would have them. Each comes
    with the head of its block: ("limits", "latency <= 12 ms"). None where that is an error, or the file is gone."""
    try:
        original = read_source(path)
    except (HwError, OSError):
        return None
    child = Source(str(path.with_name(f"{path.name} with what is advised")), _child(name, statements))

    def load(written: str, source: Source) -> Source | str:
        return original if source.name == child.name else load_source(written, source)

    return analyse(child, rule_facts(), load).target


def _child(name: str, statements: Sequence[tuple[str, str]]) -> str:
    heads = dict.fromkeys(head for head, _ in statements)
    blocks = [f"  {head} {{ {' '.join(f'{text};' for at, text in statements if at == head)} }}" for head in heads]
    return "\n".join(("hw 1;", 'include "the target";', f"target {name}_as_advised extends {name} {{", *blocks, "}", ""))
