"""Writes grammar/text/hw.tables.json, the tables of hw.lark that parser.py reads: lark makes them, and is not needed then.

python tools/generate_parser.py            rewrite the file
python tools/generate_parser.py --check    exit 1 if the file is of another grammar
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

GRAMMAR = Path(__file__).resolve().parent.parent / "grammar" / "text"
FILE = GRAMMAR / "hw.tables.json"


def build() -> Lark:
    """The grammar as lark reads it."""
    return Lark.open(
        str(GRAMMAR / "hw.lark"),
        parser="lalr",
        lexer="contextual",
        propagate_positions=False,
        maybe_placeholders=False,
        keep_all_tokens=True,
    )


def content() -> dict[str, Any]:
    """The tables, with the digest of the grammar they are of."""
    parser = build()
    table = parser.parser.parser._parse_table
    order = _walk(table.states, table.start_states["start"])
    rows = [sorted(table.states[state].items()) for state in order]
    rules = list(dict.fromkeys(to for row in rows for _, (_, to) in row if isinstance(to, Rule)))
    number = {state: index for index, state in enumerate(order)}
    states = [{name: -1 - rules.index(to) if isinstance(to, Rule) else number[to] for name, (_, to) in row} for row in rows]
    return {
        "grammar": hashlib.sha256((GRAMMAR / "hw.lark").read_bytes()).hexdigest(),
        "start": number[table.start_states["start"]],
        "end": number[table.end_states["start"]],
        "rules": [_rule(rule) for rule in rules],
        "states": states,
        **_terminals(parser.terminals, parser.ignore_tokens),
    }


def _walk(states: Mapping[Any, Any], start: Any) -> list[Any]:
    """The states in the order in which one comes to them from the first, by name: lark's own numbers differ from run to run."""
    order = [start]
    for state in order:  # grows
        following = [to for _, (_, to) in sorted(states[state].items()) if not isinstance(to, Rule)]
        order += [to for to in dict.fromkeys(following) if to not in order]
    return order


def _rule(rule: Rule) -> tuple[str, int, bool, int]:
    """lark puts the children of a rule whose name begins with `_` into its parent."""
    assert rule.alias is None and not rule.options.expand1, "the parser knows neither aliases nor `?`"
    name = str(rule.origin.name)
    spliced = sum(1 << index for index, part in enumerate(rule.expansion) if not part.is_term and part.name.startswith("_"))
    return name, len(rule.expansion), name.startswith("_"), spliced


def _terminals(terminals: list[TerminalDef], ignored: list[str]) -> dict[str, Any]:
    """Keywords, then the others that begin with a letter, in lark's order; all else can be told apart without knowing the state."""
    ordered = sorted(terminals, key=lambda one: (-one.priority, -one.pattern.max_width, -len(one.pattern.value), one.name))
    patterns = {one.name: one.pattern.to_regexp() for one in ordered}
    keywords = {patterns[name][:-2]: name for name in patterns if re.fullmatch(r"[a-z]+\\b", patterns[name])}
    rest = [name for name in patterns if name not in ignored and name not in keywords.values()]
    words = [name for name in rest if re.match(patterns[name].replace("attr", "a"), "a::b") or re.match(patterns[name], "attr.a")]
    return {
        "skip": f"(?:{'|'.join(patterns[name] for name in ignored)})+",
        "signs": "|".join(f"(?P<{name}>{patterns[name]})" for name in rest if name not in words),
        "keywords": keywords,
        "words": [(name, patterns[name]) for name in words],
    }


def up_to_date() -> bool:
    made = json.loads(FILE.read_text("utf-8"))
    return bool(made["grammar"] == content()["grammar"])


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(not up_to_date())
    FILE.write_text(json.dumps(content(), separators=(",", ":")) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
