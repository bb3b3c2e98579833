"""How much memory a process may still take on this machine, or in this container."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SHARE = 0.8
"""Of what is free: how much one process may take unless a limit is given."""
GROUPS = Path("/sys/fs/cgroup")


def allowance() -> int:
    """Bytes that a process may take by default."""
    return int(SHARE * min(_machine(), _container()))


def _machine() -> float:
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo", encoding="ascii") as facts:
        line = next(line for line in facts if line.startswith("MemAvailable"))
        return 1024 * int(line.split()[1])
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _container() -> float:
    """What the control group leaves; infinite where it sets no limit. Pages of files that it counts can be dropped."""
    for limit, used, file in (
        ("memory.max", "memory.current", "file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_cache"),
    ):
        with contextlib.suppress(OSError, ValueError):
            most = int((GROUPS / limit).read_text("ascii"))  # "max" is no number
            facts = dict(line.split()[:2] for line in (GROUPS / used).with_name("memory.stat").read_text("ascii").splitlines())
            return max(most - int((GROUPS / used).read_text("ascii")) + int(facts.get(file, 0)), 0)
    return float("inf")
