"""What a measurement on this machine depends on besides the runtime."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path


def environment() -> dict[str, str]:
    """Processor, threads, date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"processor": processor, "threads": "1", "date": datetime.date.today().isoformat()}
