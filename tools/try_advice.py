"""Follows the advice of infeasible compilations, and looks for what it missed: every change printed is typed into the target's text.

    python tools/try_advice.py --pairs 200 --seed 0

A pair is a small model and a target whose text says less than the plan needs, drawn by seed until the compilation is infeasible. Two
judges, which share nothing with what finds the advice but the compiler itself: one edits the text as a reader would and compiles it; the
other tries every limit and every memory's budget alone on a ladder of values, up to what the language permits, and says where one would
have done.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infeasible_pairs import Pair, pairs

from autoglmc.compiler.errors import Infeasible

RUNGS, MEASURED = 24, 0.25
"""Rungs of a ladder, and the share of them where every rung is a verification."""
WIDEST = 1e4
"""Times the value of a limit, where the ladder ends."""
CLOSE = 1.05
"""Times what a ladder found, up to which advice counts as the smallest."""
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "s": 1, "ms": 1e-3, "us": 1e-6, "W": 1, "mW": 1e-3, "J": 1, "mJ": 1e-3, "": 1}


def edited(text: str, statement: str) -> str:
    """The file with what a message says typed into it: a limit in place of that limit, a budget in its memory."""
    memory = re.fullmatch(r"memory (\w+) \{ (budget [^;]*;) \}", statement)
    if memory is not None:
        name, line = memory.groups()
        block = re.search(rf"memory {name} \{{[^}}]*\}}", text)
        if block is None:
            return re.sub(r"  limits \{", lambda m: f"  {statement}\n{m[0]}", text, count=1)
        body, found = re.subn(r"budget [^;]*;", line, block[0])
        return text.replace(block[0], body if found else block[0].replace("{", f"{{ {line}", 1))
    head = re.fullmatch(r"(.*?) *(<=|>=) *(\S.*)", statement)
    assert head is not None, statement
    changed, found = re.subn(rf"\b{head[1]} *[<>]=? *[^;]*;", f"{statement};", text)
    assert found == 1, f"`{statement}` belongs nowhere in\n{text}"
    return changed


@dataclass(slots=True)
class Judged:
    """What came of one pair."""

    printed: int = 0
    together: int = 0
    failed: tuple[str, ...] = ()
    singles: tuple[str, ...] = ()
    """Limits whose change alone does, by the ladder."""
    missed: bool = False
    looser: tuple[str, ...] = ()
    """Advice that the ladder beats by more than CLOSE."""


def judge(pair: Pair, problem: Infeasible, rungs: int) -> Judged:
    found, original = Judged(), str(pair.text)
    advised: dict[str, str] = {}
    for sentence in problem.relaxations:
        statements = re.findall(r"`([^`]*)`", sentence)
        if not statements:
            continue
        found.printed += 1
        found.together += len(statements) > 1
        text = original
        for statement in statements:
            text = edited(text, statement)
        refusal = pair.compile(text)
        if refusal is not None:
            found.failed += (f"{' and '.join(statements)}: {str(refusal).splitlines()[0]}",)
        if len(statements) == 1:
            advised[_head(statements[0])] = statements[0]
    for head, ladder in ladders(pair, max(int(rungs * MEASURED), 2) if pair.verify else rungs):
        least = next((statement for statement in ladder if pair.compile(edited(original, statement)) is None), None)
        if least is None:
            continue
        found.singles += (least,)
        if head in advised and _beats(least, advised[head]):
            found.looser += (f"{advised[head]} where {least} does",)
    found.missed = bool(found.singles) and not advised
    return found


def _head(statement: str) -> str:
    return re.split(r" *(?:[<>]=?|budget)", statement)[0]


def _value(statement: str) -> float:
    number, unit = re.search(r"([0-9.e+-]+) ?([A-Za-z]*);? *\}?$", statement).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


def _beats(least: str, advised: str) -> bool:
    if least.startswith("fps"):
        return _value(advised) < _value(least) / CLOSE
    if ">" in least:
        return 1 - _value(least) < (1 - _value(advised)) / CLOSE
    return _value(advised) > CLOSE * _value(least)


def ladders(pair: Pair, rungs: int) -> Iterator[tuple[str, list[str]]]:
    """For each limit and budget alone: statements from just looser than the file's to the loosest that the language permits."""
    for head, value in pair.text.limits.items():
        here = _value(value)
        if head == "fps >=":
            yield "fps", [f"fps >= {here / WIDEST ** (k / rungs):.9g}" for k in range(1, rungs + 1)]
        elif ">" in head:
            lacking = (max(1 - here, 1e-9) * 10 ** (8 * k / rungs) for k in range(1, rungs))
            yield _head(head), [f"{head} {1 - share:.12g}" for share in lacking if share < 1]
        elif head.startswith("partitions"):
            yield _head(head), [f"{head} {int(here) + k}" for k in range(1, 12)]
        else:
            unit = " ".join(value.split()[1:])
            top = WIDEST
            yield _head(head), [f"{head} {here * top ** (k / rungs) / UNITS[unit]:.9g} {unit}".strip() for k in range(1, rungs + 1)]
    for name, body in pair.text.memories.items():
        if "budget" in body and "size" in body:
            here, top = _value(body["budget"]), _value(body["size"])
            if here < top:
                steps = [here * (top / here) ** (k / rungs) for k in range(1, rungs)] + [top]
                yield f"memory {name} {{", [f"memory {name} {{ budget {int(b)} B; }}" for b in steps]


def try_advice(count: int, seed: int, given: Sequence[Path], rungs: int = RUNGS) -> Counter[str]:
    """Counts over that many pairs."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, pair, problem in pairs(count, seed, given, Path(folder)):
            judged = judge(pair, problem, rungs)
            found.update(
                {
                    "pairs": 1,
                    "with advice": judged.printed > 0,
                    "changes printed": judged.printed,
                    "changes of several limits": judged.together,
                    "changes that fail": len(judged.failed),
                    "pairs where one limit would do": bool(judged.singles),
                    "of them without such advice": judged.missed,
                    "changes that are not the smallest": len(judged.looser),
                }
            )
            if found["pairs"] % 10 == 0:
                print(f"{found['pairs']} pairs", file=sys.stderr, flush=True)
            if judged.failed or judged.missed or judged.looser:
                how = ", verified" if pair.verify else ""
                print(f"--- {seed}/{number} ({pair.model.name}{how})\n{pair.text}\n{problem}\n{judged}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Follows the advice of infeasible compilations.")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, nargs="*", default=(), help="ONNX files to draw from besides generated ones")
    parser.add_argument("--rungs", type=int, default=RUNGS, help="values that the judge tries of every limit")
    arguments = parser.parse_args()
    start = time.process_time()
    found = try_advice(arguments.pairs, arguments.seed, arguments.models, arguments.rungs)
    for what, count in found.items():
        print(f"{count:6d} {what}")
    print(f"seed {arguments.seed}, {time.process_time() - start:.0f} s")
    return 1 if found["changes that fail"] or found["of them without such advice"] else 0


if __name__ == "__main__":
    sys.exit(main())
