"""A change to a target, applied to a copy of its text and checked like any file: what is advised is what was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...grammar import HwError, Result, Source, load_source, read_source
from ...grammar.analyse import analyse
from ...grammar.rule_facts import rule_facts
from ...targets.model import Target


def amended_target(path: Path, target: Target, statements: Sequence[tuple[str, str]]) -> Target | None:
    """The target that the file gave, with these statements in place of what it says, as a file that extends it would have them. Each comes
    with the head of its block: ("limits", "latency <= 12 ms"), ("device cpu.calibration", "launch 1 us"). None where that is an error, or
    the file is gone.

    Names and places are those of the file, as if it had been edited."""
    try:
        found = amended_result(path, target, statements).target
    except (HwError, OSError):
        return None
    return None if found is None else in_place(found, target)


def amended_result(path: Path, target: Target, statements: Sequence[tuple[str, str]], why: str = "with what is advised") -> Result:
    """The target with the statements as the language reads it, with every message; the file it is read from is named after the target's,
    and `why`. Raises HwError or OSError where the target's file cannot be read."""
    original = read_source(path)
    child = Source(str(path.with_name(f"{path.name} {why}")), _child(target.name, statements))

    def load(written: str, source: Source) -> Source | str:
        return original if source.name == child.name else load_source(written, source)

    return analyse(child, rule_facts(), load)


def in_place(found: Target, target: Target) -> Target:
    """The target that was found, with the names of the one it was made from, and its places where it has them."""
    limits = {(limit.kind, limit.subject): limit.origin for limit in target.limits}
    memories = {memory.name: memory.origin for memory in target.memories}
    return replace(
        found,
        name=target.name,
        title=target.title,
        limits=tuple(replace(limit, origin=limits.get((limit.kind, limit.subject), limit.origin)) for limit in found.limits),
        memories=tuple(replace(memory, origin=memories.get(memory.name, memory.origin)) for memory in found.memories),
    )


def _child(name: str, statements: Sequence[tuple[str, str]]) -> str:
    heads = dict.fromkeys(head for head, _ in statements)
    bodies = {head: f"{{ {' '.join(f'{text};' for at, text in statements if at == head)} }}" for head in heads}
    blocks = [f"  {head} {body}" for head, body in bodies.items() if "." not in head]
    inner = [f"amend &{name}_as_advised.{head.split()[-1]} {body}" for head, body in bodies.items() if "." in head]
    return "\n".join(("hw 1;", 'include "the target";', f"target {name}_as_advised extends {name} {{", *blocks, "}", *inner, ""))
