"""How much memory a process may still take on this machine, or in this container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SHARE = 0.8
"""Of what is free: how much one process may take unless a limit is given."""
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
UNLIMITED = 1 << 60
"""A limit of version 1 beyond which there is none."""


def allowance() -> int:
    """Bytes that a process may take by default."""
    return int(SHARE * min(_machine(), container_room()))


def _machine() -> float:
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo", encoding="ascii") as facts:
        line = next(line for line in facts if line.startswith("MemAvailable"))
        return 1024 * int(line.split()[1])
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def container_room() -> float:
    """Bytes that the control groups of this process leave; infinite where none sets a limit. Pages of files that they count can be
    dropped."""
    return min((_room(*files) for files in _groups()), default=float("inf"))


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Folder of each group that this process is in, the files of its limit and of what it uses, and the fact that says how much of that is
    files."""
    places = {"": "/", "memory": "/"}
    with contextlib.suppress(OSError, ValueError):
        lines = (line.split(":", 2) for line in OWN_GROUPS.read_text("ascii").splitlines())
        places |= {kind: path for number, kinds, path in lines for kind in kinds.split(",") if kind in places}
    for kind, path in places.items():
        base = GROUPS / kind
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache") if kind else ("memory.max", "memory.current", "file")
        own = base / path.lstrip("/")
        for folder in (own, *own.parents):
            yield folder, *names
            if folder == base:
                break


def _room(folder: Path, limit: str, used: str, file: str) -> float:
    with contextlib.suppress(OSError, ValueError):
        most = int((folder / limit).read_text("ascii"))  # "max" is no number
        facts = dict(line.split()[:2] for line in (folder / "memory.stat").read_text("ascii").splitlines())
        if most < UNLIMITED:
            return max(most - int((folder / used).read_text("ascii")) + int(facts.get(file, 0)), 0)
    return float("inf")
