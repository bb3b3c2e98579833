"""Which processor this is."""

from __future__ import annotations

import platform
from pathlib import Path

FACTS = Path("/proc/cpuinfo")


def processor() -> str:
    """Its name as the system tells it; elsewhere than on Linux the architecture."""
    lines = FACTS.read_text(encoding="utf-8", errors="replace").splitlines() if FACTS.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
