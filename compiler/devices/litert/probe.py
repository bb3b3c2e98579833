"""Whether LiteRT's C interface is the one that library.py describes: a tiny model is bound to two pairs of addresses and run.

`python -m autoglmc.compiler.devices.litert.probe` does it in a process of its own, which another interface may crash; it writes the reason
on one line, or nothing.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache

from ...own_python import PYTHON

TRIED = frozenset({("2.3.0", "Linux", "x86_64")})
"""Release, system and processor where the interface is known to be this one: there it is probed in this process (1 ms instead of 300)."""
LONGEST = 60.0
GUARD = 64
"""Bytes on either side of an output that must stay as they were."""


@cache
def refusal() -> str:
    """Why the C interface is not used here, as half a sentence; "" where it works. Found out once a process."""
    from importlib.metadata import version

    if (version("ai-edge-litert"), platform.system(), platform.machine()) in TRIED:
        return probe()
    command = [*PYTHON, "-m", __name__]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return f"its C interface did not answer within {LONGEST:g} s"
    if done.returncode < 0:
        return f"its C interface is another one (a call ended with signal {-done.returncode})"
    return done.stdout.strip() or ("" if done.returncode == 0 else f"its C interface cannot be tried (exit code {done.returncode})")


def probe() -> str:
    """As `refusal`, in this process."""
    import numpy

    from ..silence import silenced
    from .compiled import Compiled, Options
    from .library import LiteRtError
    from .tiny_model import tiny_model

    try:
        with silenced(2):
            model = Compiled(numpy.frombuffer(tiny_model(), numpy.uint8), Options(threads=1))
        wrong = next(filter(None, (_run_at(model, first) for first in (GUARD, 5 * GUARD))), "")
        return wrong and f"its C interface is another one ({wrong})"
    except (LiteRtError, OSError, AttributeError) as error:
        return f"its C interface is another one ({error})"


def _run_at(model: object, first: int) -> str:
    """One run with the input at byte `first` of a block of memory, the output behind a guard; what is wrong with it, or ""."""
    from pathlib import Path

    import numpy

    from ..adapter import Port
    from .bound import ALIGN, BoundSegment
    from .compiled import Compiled
    from .tiny_model import INPUT, OUTPUT, SHAPE

    assert isinstance(model, Compiled)
    memory = numpy.full(1024 + ALIGN, 0xFF, numpy.uint8)
    start = -memory.ctypes.data % ALIGN + first
    size = 4 * int(numpy.prod(SHAPE))
    out = start + -(-size // ALIGN) * ALIGN + GUARD
    given = numpy.linspace(-1, 1, size // 4, dtype=numpy.float32)
    memory[start : start + size] = given.view(numpy.uint8)
    ports = Port(INPUT, "fp32", SHAPE, memory.ctypes.data + start), Port(OUTPUT, "fp32", SHAPE, memory.ctypes.data + out)
    segment = BoundSegment(Path("a tiny model"), model, ports[:1], ports[1:], "")
    segment.run({})
    if not numpy.array_equal(memory[out : out + size].view(numpy.float32), numpy.maximum(given, 0)):
        return "a bound result was wrong"
    guards = numpy.concatenate((memory[out - GUARD : out], memory[out + size : out + size + GUARD]))
    if (guards != 0xFF).any():
        return "it wrote beside a bound result"
    return "it reports another address than it was given" if segment.misplaced() else ""


if __name__ == "__main__":
    sys.stdout.write(probe())
