"""What loading a segment adds to this process's memory: pages of its own, and pages mapped from files.

Weights that a runtime maps show as mapped (once they are read) and are shared by whoever maps the file; weights that it copies or repacks
show as its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

STATUS = Path("/proc/self/status")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Resident:
    """Bytes. May be negative by what an allocator gave back; the first segment of a runtime also loads the runtime."""

    own: int
    mapped: int


def measure_resident(action: Callable[[], Result]) -> tuple[Result, Resident | None]:
    """What the action gives, and what it left in memory; None for that where the system does not tell (other than Linux)."""
    before = _now()
    result = action()
    after = _now()
    return result, None if before is None or after is None else Resident(after.own - before.own, after.mapped - before.mapped)


def status_bytes() -> dict[str, int] | None:
    """Bytes of this process by kind (RssAnon, RssFile, RssShmem, VmHWM …); None where the system does not tell."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kinds = ((name, words) for name, _, words in (line.partition(":") for line in lines) if name.startswith(("Rss", "VmHWM")))
    found = {name: int(words.split()[0]) << 10 for name, words in kinds}
    return found if {"RssAnon", "RssFile"} <= found.keys() else None


def _now() -> Resident | None:
    found = status_bytes()
    return None if found is None else Resident(found["RssAnon"], found["RssFile"])
