"""The machine and the runtimes that a measurement was made with."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Collection

from ..run.bundle import Bundle
from ..run.processor import processor


def environment(bundle: Bundle, emulated: Collection[str]) -> dict[str, str]:
    """processor, cores, system, versions, date; those of the runtimes of segments that are not in `emulated` ("0 (npu)")."""
    from importlib.metadata import version

    runtimes = {
        name: number
        for segment in bundle.manifest.segments
        if f"{segment.index} ({segment.device})" not in emulated
        for name, number in segment.runtime.versions.items()
    }
    return {
        "processor": processor(),
        "cores": str(os.cpu_count() or 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "autoglmc": version("autoglmc"),
        "onnxruntime": version("onnxruntime"),
        **runtimes,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
