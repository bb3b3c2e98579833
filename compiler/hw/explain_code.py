"""`autoglmc check --explain HW0106`: what a code means, with examples checked as any other file is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...grammar import Diagnostic, analyse_file, as_json, render
from ...grammar.rule_facts import rule_facts
from ...grammar.text.code_examples import Example, examples_of
from ...grammar.text.codes import CODES
from ..errors import UsageError

STRICT = frozenset({"HW0601", "HW0602"})
"""Codes that only a strict check reports."""


@dataclass(frozen=True, slots=True)
class Explanation:
    code: str
    severity: str
    meaning: str
    examples: tuple[tuple[Example, tuple[Diagnostic, ...]], ...]
    """Each with the messages about its bad file."""


def explain_code(word: str) -> Explanation:
    """The explanation of a code, in capitals or not. Raises UsageError for a code that does not exist."""
    code = word.strip().upper()
    if code not in CODES:
        raise UsageError(f"unknown code '{word}'", where=f"--explain {word}", help=_nearest(code))
    known = CODES[code]
    found = tuple((example, analyse_file(example.bad, rule_facts(), code in STRICT).diagnostics) for example in examples_of(code))
    return Explanation(code, known.severity, known.meaning, found)


def explanation_text(explained: Explanation) -> str:
    """As shown on a terminal."""
    parts = [f"{explained.severity}[{explained.code}]: {explained.meaning}"]
    for number, (example, messages) in enumerate(explained.examples, 1):
        which = f" {number}" if len(explained.examples) > 1 else ""
        lines = "\n".join(f"    {line}".rstrip() for line in example.difference().splitlines())
        parts.append(f"Example{which} (`-` wrong, `+` fixed):\n\n{lines}\n\n{messages_text(example, messages)}")
    return "\n\n".join(parts)


def explanation_json(explained: Explanation) -> dict[str, Any]:
    """The same for a program, with the examples' whole files."""
    examples = [
        {
            "bad": example.bad.read_bytes().decode("utf-8", "replace"),
            "fixed": example.fixed.read_text("utf-8"),
            "difference": example.difference(),
            "diagnostics": [as_json(found) for found in messages],
        }
        for example, messages in explained.examples
    ]
    return {"code": explained.code, "severity": explained.severity, "meaning": explained.meaning, "examples": examples}


def messages_text(example: Example, messages: tuple[Diagnostic, ...]) -> str:
    """The messages about an example's bad file, which is named without its folder."""
    return "\n".join(render(found).rstrip() for found in messages).replace(str(example.bad), example.bad.name)


def _nearest(code: str) -> str:
    """Codes that are written nearly alike, those with two digits swapped first."""
    from difflib import get_close_matches

    close = sorted(get_close_matches(code, CODES, n=10), key=lambda known: sorted(known) != sorted(code))[:3]
    return f"did you mean {' or '.join(close)}?" if close else f"codes are {min(CODES)} to {max(CODES)}; docs/language.md lists them"
