"""Mutated .hw files: whatever a file holds, the checker answers with diagnostics, in bounded time.

    python tools/fuzz_language.py --count 100000

File number n is made from the seed and n alone, so `--only N` repeats one; it is written to the folder of --keep if it breaks a promise.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoglmc.grammar import Result, analyse_file, as_json, render
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.text.code_examples import FOLDER as EXAMPLES
from autoglmc.targets.stock import stock_names, stock_path

ERRORS = Path(__file__).resolve().parent.parent / "tests" / "grammar" / "errors"
SECONDS = 5.0
"""Processor time one file may take; the slowest seen is far below, a machine under load still passes."""
LARGE_SHARE = 0.1
"""Of the files start from a stock target, the others from an example of an error: ten times smaller, so more of them fit in a run."""
_TOKEN = re.compile(rb'"[^"\n]*"|//[^\n]*|[A-Za-z_]\w*|[0-9][0-9.eE]*|<->|->|[<>=!]=|\s+|.', re.DOTALL)
_SCRAPS = (
    b"{", b"}", b"(", b")", b"[", b"]", b";", b'"', b"//", b"/*", b"*/", b"&", b"@", b"..", b"->", b"<->", b"::", b"%", b"^", b"#", b"'",
    b"where", b"else", b"rule", b"match", b"let", b"emit", b"and", b"or", b"not", b"in", b"inherit", b"include", b"extends", b"target",
    b"amend &box.npu", b"table", b"holds", b"delete &box.npu.supports Conv", b"1e999", b"-1", b"0", b"0.0000001", b"9" * 400, b"GBs",
    b"KiB", b"@src", b"@guess", b"\x00", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\xe2\x80\xa8", b"_", b"attr.",
    b"attr.x", b"loss", b"loss <= 0.1 %", b"prefer a8w8",
    b"keep int8 Conv", b"weights int4 block 32", b"symmetric(W)", b"(" * 70, b"{" * 70, b"a or " * 140,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    files: int
    refused: int
    """Files with at least one error."""
    slowest: float
    """Processor time in seconds."""
    slowest_number: int
    broken: tuple[str, ...]
    """What went against a promise, with the number of the file."""


def originals() -> tuple[list[bytes], list[bytes]]:
    """(stock targets, examples of errors)"""
    small = [path.read_bytes() for folder in (ERRORS, EXAMPLES) for path in sorted(folder.glob("*.hw"))]
    return [stock_path(name).read_bytes() for name in stock_names()], [text for text in small if len(text) < 20_000]


def mutated(number: int, seed: int, large: Sequence[bytes], small: Sequence[bytes]) -> bytes:
    """File `number` of a run."""
    dice = random.Random(f"{seed} {number}")
    text = dice.choice(large if dice.random() < LARGE_SHARE else small)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        text = _bytes(text, dice) if dice.random() < 0.35 else _tokens(text, dice, small)
    return text


def _bytes(text: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(text) + 1)
    end = min(len(text), at + dice.choice((1, 1, 2, 8, 200)))
    match dice.randrange(5):
        case 0:
            return text[:at] + text[end:]
        case 1:
            return text[:at] + bytes([dice.randrange(256)]) + text[at + 1 :]
        case 2:
            return text[:at] + dice.randbytes(dice.choice((1, 3))) + text[at:]
        case 3:
            return text[:at]
        case _:
            return text[:end] + text[at:]


def _tokens(text: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    places = [match.span() for match in _TOKEN.finditer(text)]
    if not places:
        return dice.choice(_SCRAPS)
    (start, end), (start2, end2) = sorted((dice.choice(places), dice.choice(places)))
    match dice.randrange(7):
        case 0:
            return text[:start] + text[end:]
        case 1:
            return text[:start] + dice.choice(_SCRAPS) + b" " + text[start:]
        case 2:
            return text[:start] + dice.choice(_SCRAPS) + text[end:]
        case 3:
            return text[:start] + text[start2:end2] + text[end:]
        case 4 if start != start2:
            return text[:start] + text[start2:end2] + text[end:start2] + text[start:end] + text[end2:]
        case 5:
            return text[:start2] + text[start : min(end2, start + 400)] + text[start2:]
        case _:
            other = dice.choice(others)
            cut = dice.randrange(len(other) + 1)
            return text[:start] + other[cut : cut + dice.choice((5, 60, 400))] + text[start:]


def broken_promise(result: Result, seconds: float) -> str:
    """What a result does that none may; "" for nothing."""
    found = result.diagnostics
    alone = result.tables or result.deployment  # a file of either may do without a target
    if not alone and (result.target is None) != any(diagnostic.severity == "error" for diagnostic in found):
        return "a target beside an error, or neither"
    if any(not 0 <= d.span.start <= d.span.end <= len(d.span.source.text) + 1 for d in found):
        return "a place outside the file"
    if not all(render(diagnostic) and as_json(diagnostic) for diagnostic in found):
        return "a message without words"
    keys = [(d.span.source.name, d.span.start, d.code, d.message) for d in found]
    if keys != sorted(set(keys)):
        return "messages out of order or twice"
    return f"took {seconds:.1f} s" if seconds > SECONDS else ""


def fuzz(count: int, seed: int = 1, first: int = 0, keep: Path | None = None, progress: bool = False) -> Outcome:
    """Checks files first … first + count - 1 of a seed."""
    rules = rule_facts()
    large, small = originals()
    refused, slowest, slowest_number, broken = 0, 0.0, first, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzz.hw"
        for number in range(first, first + count):
            text = mutated(number, seed, large, small)
            path.write_bytes(text)
            start = time.process_time()
            try:
                result = analyse_file(path, rules)
                seconds = time.process_time() - start
                fault = broken_promise(result, seconds)
                refused += result.target is None
            except (Exception, RecursionError) as error:
                seconds, fault = 0.0, f"raised {type(error).__name__}: {error}"
            if seconds > slowest:
                slowest, slowest_number = seconds, number
            if fault:
                broken.append(f"file {number}: {fault}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{number}.hw").write_bytes(text)
            if progress and (number - first) % 1000 == 999:
                print(f"{number - first + 1:,} files, {len(broken)} broken promises, slowest {slowest:.2f} s", flush=True)
    return Outcome(count, refused, slowest, slowest_number, tuple(broken))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin with file N, so that a run can be made in parts")
    parser.add_argument("--only", type=int, metavar="N", help="check file N alone")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="where files that break a promise go")
    given = parser.parse_args()
    count, first = (given.count, given.first) if given.only is None else (1, given.only)
    outcome = fuzz(count, given.seed, first, given.keep, progress=True)
    print(f"files {outcome.files:,}, refused {outcome.refused:,}, slowest {outcome.slowest * 1e3:.0f} ms (file {outcome.slowest_number})")
    for line in outcome.broken:
        print(line)
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
