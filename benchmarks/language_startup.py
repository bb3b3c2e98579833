"""What reading and checking a .hw file adds to a Python that only imports lark.

    python benchmarks/language_startup.py

Both are whole processes, run in turn; the least of many runs counts, since whatever else the machine does only adds.
Exit code 1 beyond 100 ms.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ALLOWED = 0.100
RUNS = 20
BARE = "import lark"
CHECKING = """
from autoglmc.grammar import analyse_file
from autoglmc.grammar.rule_facts import rule_facts
from pathlib import Path
import sys
result = analyse_file(Path(sys.argv[1]), rule_facts())
sys.exit(result.target is None)
"""


def largest_target() -> Path:
    """The stock target with the most text, includes counted."""
    from autoglmc.targets.stock import FOLDER, stock_names, stock_path

    def size(path: Path) -> int:
        text = path.read_text("utf-8")
        return len(text) + sum(len(std.read_text("utf-8")) for std in (FOLDER / "std").glob("*.hw") if f'"std/{std.name}"' in text)

    return max(map(stock_path, stock_names()), key=size)


def seconds(code: str, *arguments: str) -> float:
    """Wall time of one Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    return time.perf_counter() - start


def measure(runs: int = RUNS) -> tuple[Path, float, float]:
    """(the largest target, least seconds of the bare process, least seconds of checking)"""
    target = largest_target()
    seconds(CHECKING, str(target))  # byte code
    bare, checking = [], []
    for _ in range(runs):
        bare.append(seconds(BARE))
        checking.append(seconds(CHECKING, str(target)))
    return target, min(bare), min(checking)


def main() -> int:
    target, bare, checking = measure()
    more = checking - bare
    print(f"import lark {bare * 1e3:.0f} ms; check {target.name} {checking * 1e3:.0f} ms")
    print(f"{more * 1e3:.0f} ms more, {checking / bare:.2f} times; {ALLOWED * 1e3:.0f} ms more are allowed")
    return 1 if more > ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())
