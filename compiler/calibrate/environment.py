"""What a measurement on this machine depends on besides the runtime."""

from __future__ import annotations

import datetime

from ..run.processor import processor


def environment() -> dict[str, str]:
    """Processor, threads, date."""
    return {"processor": processor(), "threads": "1", "date": datetime.date.today().isoformat()}
