"""Private memory that a bundle takes in a process of its own: what is loaded and run, less the process before it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...bundle.plan_records import ValueRecord
from ...devices.views import numpy_dtype
from ...errors import BundleError

CHILD = """
import sys
import numpy, onnxruntime
from autoglmc.compiler.calibrate.measure.private_memory import private_bytes
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.calibrate.measure.private_memory import zeros_for
bundle = Bundle.load(sys.argv[1])
before = private_bytes()
session = bundle.session()
for _ in range(3):
    session.run(zeros_for(bundle.manifest.model.inputs))
print(private_bytes() - before)
"""
LIMIT = 120.0


def private_bytes() -> int:
    """Of this process: pages that no other process has (Linux: Private_Clean + Private_Dirty of smaps_rollup). 0 where the system does not
    tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def private_memory(bundle: Path) -> int:
    """Bytes for loading and three runs. Raises BundleError where the bundle does not run."""
    try:
        done = subprocess.run([sys.executable, "-c", CHILD, str(bundle)], capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise BundleError(f"its memory cannot be measured: three runs take longer than {LIMIT:.0f} s", where=str(bundle)) from None
    if done.returncode or not done.stdout.strip().isdigit():
        raise BundleError(f"its memory cannot be measured: {(done.stderr or done.stdout).strip()[-300:]}", where=str(bundle))
    return int(done.stdout)


def zeros_for(inputs: Sequence[ValueRecord]) -> dict[str, Any]:
    """Zeros for every input of a bundle: right for indices and masks too."""
    import numpy as np

    return {one.name: np.zeros(one.shape or (), numpy_dtype(one.dtype)) for one in inputs}
