"""Private memory that a bundle takes in a process of its own: what is loaded and run, less the process before it.

Counted are pages of no file, and the arena, which is shared memory: they need memory whatever else runs. Pages of files (weights that are
mapped, the code of libraries) are not: they can be dropped, are private only as long as no other process maps them, and "dirty" until a
file that was just written is on disk. The end of the third run counts: memory that a runtime took in a run it keeps.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...bundle.plan_records import ValueRecord
from ...devices.views import numpy_dtype
from ...errors import BundleError
from ...run.resident import STATUS

CHILD = """
import sys
import numpy, onnxruntime
from autoglmc.compiler.calibrate.measure.private_memory import private_bytes
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.calibrate.measure.private_memory import zeros_for
bundle = Bundle.load(sys.argv[1])
inputs = zeros_for(bundle.manifest.model.inputs)
before = private_bytes()
session = bundle.session()
loaded = private_bytes()
for _ in range(3):
    session.run(inputs)
print(loaded - before, private_bytes() - before)
"""
LIMIT = 120.0


def private_bytes() -> int:
    """Of this process (Linux: RssAnon + RssShmem). 0 where the system does not tell."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def private_memory(bundle: Path) -> tuple[int, int]:
    """Bytes once it is loaded, and after three runs. Raises BundleError where the bundle does not run, or the system does not tell."""
    try:
        done = subprocess.run([sys.executable, "-c", CHILD, str(bundle)], capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise BundleError(f"its memory cannot be measured: three runs take longer than {LIMIT:.0f} s", where=str(bundle)) from None
    found = done.stdout.split()
    if done.returncode or len(found) != 2 or not all(word.isdigit() for word in found) or found[1] == "0":
        raise BundleError(f"its memory cannot be measured: {(done.stderr or done.stdout).strip()[-300:]}", where=str(bundle))
    return int(found[0]), int(found[1])


def zeros_for(inputs: Sequence[ValueRecord]) -> dict[str, Any]:
    """Zeros for every input of a bundle: right for indices and masks too."""
    import numpy as np

    return {one.name: np.zeros(one.shape or (), numpy_dtype(one.dtype)) for one in inputs}
