"""What reading and checking a .hw file costs, next to a Python that only imports lark (the parser's maker; checking does without it).

    python benchmarks/language_startup.py

Both are whole processes, started the same way and in turn. Counted is their processor time, user and system, of which the least of many
runs: whatever else the machine does only adds. Exit code 1 beyond 100 ms more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ALLOWED = 0.100
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


def measure(runs: int = RUNS) -> tuple[Path, float, float, float]:
    """(the largest target, least seconds of a Python that does nothing, of one that imports lark, of one that checks the target)"""
    target = largest_target()
    seconds(BARE), seconds(CHECKING, str(target))  # write their byte code
    rounds = [(seconds(NOTHING), seconds(BARE), seconds(CHECKING, str(target))) for _ in range(runs)]
    nothing, bare, checking = (min(column) for column in zip(*rounds, strict=True))
    return target, nothing, bare, checking


def main() -> int:
    target, nothing, bare, checking = measure()
    more = checking - bare
    print(f"processor time: Python {nothing * 1e3:.0f} ms, import lark {bare * 1e3:.0f} ms, check {target.name} {checking * 1e3:.0f} ms")
    print(f"{more * 1e3:.0f} ms more than import lark, {checking / bare:.2f} times; {ALLOWED * 1e3:.0f} ms more are allowed")
    return 1 if more > ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())
