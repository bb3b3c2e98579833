"""Private memory that a bundle takes in a process of its own: what is loaded and run, less the process before it.

Counted are pages of no file, and the arena, which is shared memory: they need memory whatever else runs. Pages of files (weights that are
mapped, the code of libraries) are not: they can be dropped, are private only as long as no other process maps them, and "dirty" until a
file that was just written is on disk. The end of the third run counts: memory that a runtime took in a run it keeps.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ...errors import BundleError
from ...own_python import PYTHON
from ...run.resident import status_bytes

CHILD = """
import sys
import numpy, onnxruntime
from autoglmc.compiler.calibrate.measure.private_memory import private_bytes
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.zero_inputs import zeros_for
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
    found = status_bytes() or {}
    return found.get("RssAnon", 0) + found.get("RssShmem", 0)


def private_memory(bundle: Path) -> tuple[int, int]:
    """Bytes once it is loaded, and after three runs. Raises BundleError where the bundle does not run, or the system does not tell."""
    try:
        done = subprocess.run([*PYTHON, "-c", CHILD, str(bundle)], capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise BundleError(f"its memory cannot be measured: three runs take longer than {LIMIT:.0f} s", where=str(bundle)) from None
    found = done.stdout.split()
    if done.returncode or len(found) != 2 or not all(word.isdigit() for word in found) or found[1] == "0":
        raise BundleError(f"its memory cannot be measured: {(done.stderr or done.stdout).strip()[-300:]}", where=str(bundle))
    return int(found[0]), int(found[1])
