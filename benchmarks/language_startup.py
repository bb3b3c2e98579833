"""What reading and checking a .hw file costs beyond importing lark, the parser.

    python benchmarks/language_startup.py

Both are whole processes, started the same way and in turn, with byte code and parser tables in their caches. Measured is their processor
time, user and system; whatever else the machine does only adds, so the least of many runs counts. Exit code 1 beyond 150 ms more.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ALLOWED = 0.150
RUNS = 20
NOTHING = "pass"
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
    """Processor time of one Python process. Raises CalledProcessError if it fails."""
    command = [sys.executable, "-c", code, *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    process = os.posix_spawn(sys.executable, command, environment)
    _, status, used = os.wait4(process, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return used.ru_utime + used.ru_stime


def measure(target: Path, runs: int = RUNS) -> dict[str, list[float]]:
    """Seconds of each run, of a Python that does nothing, of one that imports lark and of one that checks the target."""
    seconds(BARE), seconds(CHECKING, str(target))  # fill the caches
    rounds = [(seconds(NOTHING), seconds(BARE), seconds(CHECKING, str(target))) for _ in range(runs)]
    return dict(zip(("Python", "import lark", f"check {target.name}"), map(list, zip(*rounds, strict=True)), strict=True))


def main() -> int:
    measured = measure(largest_target())
    for name, times in measured.items():
        print(f"{name:<24} least {min(times) * 1e3:4.0f} ms   median {statistics.median(times) * 1e3:4.0f} ms of processor time")
    _, bare, checking = measured.values()
    more = min(checking) - min(bare)
    print(f"{more * 1e3:.0f} ms more than import lark; {ALLOWED * 1e3:.0f} ms more are allowed")
    return 1 if more > ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())
