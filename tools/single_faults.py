"""One fault at a time in the stock targets: how many reports does each give?

    python tools/single_faults.py --count 10000

A fault is one token deleted, inserted, replaced or doubled, a `;`, a brace or a quote dropped, a name misspelt. Where the file still says
something valid, it was no fault and is not counted. Reports are all messages that the untouched file does not give.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from autoglmc.grammar import analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.stock import stock_names, stock_path

_TOKEN = re.compile(
    r'(?P<skip>//[^\n]*|/\*.*?\*/|\s+)|(?P<string>"[^"\n]*")|(?P<word>@?[A-Za-z_]\w*(?:/s)?)|(?P<number>[0-9.]+(?:[eE]-?\d+)?)'
    r"|(?P<sign><->|->|\.\.|::|[<>=!]=|.)",
    re.DOTALL,
)
KINDS = ("delete", "insert", "replace", "double", "semicolon", "brace", "quote", "misspell")


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    kind: str
    at: int
    text: str
    reports: int


def faulty(text: str, kind: str, dice: random.Random) -> tuple[int, str]:
    """(offset, the text with one fault)"""
    tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup != "skip"]
    wanted = {"semicolon": ";", "brace": "{}"}.get(kind)
    if wanted:
        tokens = [token for token in tokens if token[0] in wanted]
    elif kind == "quote":
        tokens = [token for token in tokens if token.lastgroup == "string"]
    elif kind == "misspell":
        tokens = [token for token in tokens if token.lastgroup == "word" and len(token[0]) > 1]
    token, other = dice.choice(tokens), dice.choice(tokens)[0]
    start, end = token.span()
    match kind:
        case "delete" | "semicolon" | "brace":
            return start, text[:start] + text[end:]
        case "insert":
            return start, f"{text[:start]}{other} {text[start:]}"
        case "replace":
            return start, text[:start] + other + text[end:]
        case "double":
            return start, f"{text[:end]} {text[start:]}"
        case "quote":
            return start, text[: end - 1] + text[end:] if dice.random() < 0.5 else text[:start] + text[start + 1 :]
        case _:
            at = dice.randrange(len(token[0]))
            word = token[0]
            letter = dice.choice("aeiounrst")
            changed = dice.choice((word[:at] + word[at + 1 :], word[:at] + letter + word[at + 1 :], word[:at] + letter + word[at:]))
            return start, text[:start] + changed + text[end:]


def faults(count: int, seed: int = 1) -> Iterator[Fault]:
    """`count` real faults, in a fixed order."""
    rules, dice = rule_facts(), random.Random(seed)
    texts = {name: stock_path(name).read_text("utf-8") for name in stock_names()}
    names, clean = {}, {}
    for name, text in texts.items():
        result = analyse_text(text, str(stock_path(name)), rules)
        clean[name] = Counter((d.code, d.message) for d in result.diagnostics)
        names[name] = len(text)
    while count:
        name = dice.choices(list(names), list(names.values()))[0]
        kind = dice.choice(KINDS)
        at, text = faulty(texts[name], kind, dice)
        found = Counter((d.code, d.message) for d in analyse_text(text, str(stock_path(name)), rules).diagnostics)
        reports = (found - clean[name]).total()
        if reports:
            count -= 1
            yield Fault(name, kind, at, text, reports)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, metavar="N", help="print the faults with at least N reports")
    given = parser.parse_args()
    counts: Counter[int] = Counter()
    by_kind: dict[str, Counter[int]] = {kind: Counter() for kind in KINDS}
    for fault in faults(given.count, given.seed):
        counts[fault.reports] += 1
        by_kind[fault.kind][fault.reports] += 1
        if given.show and fault.reports >= given.show:
            _show(fault)
    one = counts[1] / counts.total()
    for kind, row in by_kind.items():
        print(f"{kind:<10} {row.total():>6}  one report {row[1] / max(1, row.total()):6.1%}  most {max(row, default=0)}")
    three = sum(counts[n] for n in (1, 2, 3)) / counts.total()
    print(f"faults {counts.total():,}, exactly one report {one:.1%}, at most three {three:.1%}, most {max(counts)}")
    return 0 if one >= 0.85 and max(counts) <= 8 else 1


def _show(fault: Fault) -> None:
    start = fault.text.rfind("\n", 0, fault.at) + 1
    line = fault.text[start : fault.text.find("\n", fault.at)]
    number = fault.text.count("\n", 0, fault.at) + 1
    print(f"--- {fault.reports} reports: {fault.kind} in {fault.name}, line {number}: {line.strip()[:150]}")
    known = rule_facts()
    for diagnostic in analyse_text(fault.text, str(stock_path(fault.name)), known).diagnostics:
        print(f"      {diagnostic.span.origin.line}:{diagnostic.span.origin.column} {diagnostic.code} {diagnostic.message}")


if __name__ == "__main__":
    sys.exit(main())
