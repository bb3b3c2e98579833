"""How much memory does a compilation take, verification included? Private memory of all its processes, next to the size of the model.

    python benchmarks/compile_memory.py MODEL [--target x86_cpu] [--bound] [any option of `autoglmc compile`]
    python benchmarks/compile_memory.py --layers 9 --bound [...]     # a decoder of random weights with so many layers (made_decoder.py)

Pages of mapped files do not count: the system takes them back whenever it needs them. The bound of issue 16 is the model's size and 1 GiB
(--bound: exit code 1 beyond it). Caches of earlier compilations are not used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_decoder import Size, write_decoder

STEP = 0.05
MIB = 2**20


def family(process: int) -> list[int]:
    found = [process]
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += family(int(child))
    except OSError:
        pass  # it has ended
    return found


def private(process: int) -> int:
    """Bytes that nobody else has and no file holds."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "RssShmem")))


def peak(command: list[str]) -> tuple[int, int]:
    """Bytes at most of all processes together, and the exit code."""
    with tempfile.TemporaryDirectory() as cache:
        running = subprocess.Popen(command, env={**os.environ, "XDG_CACHE_HOME": cache}, stdout=subprocess.DEVNULL)
        most = 0
        while running.poll() is None:
            most = max(most, sum(map(private, family(running.pid))))
            time.sleep(STEP)
    return most, running.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--layers", type=int, help="make the model: 24 are 5.1 GiB, 9 are 2.2 GiB, 1 is 0.7 GiB")
    parser.add_argument("--target", default="x86_cpu")
    parser.add_argument("--bound", action="store_true")
    options, more = parser.parse_known_args()
    from autoglmc.compiler.load.weights import model_bytes

    if (options.model is None) == (options.layers is None):
        parser.error("give a model, or --layers")
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            options.model = write_decoder(Path(folder), Size(layers=options.layers))
        size = model_bytes(options.model)
        begun = time.monotonic()
        command = [sys.executable, "-c", "import sys; from autoglmc.compiler.cli import main; sys.exit(main())", "compile"]
        most, code = peak([*command, str(options.model), "--target", options.target, "-o", f"{folder}/bundle", "--quiet", *more])
    allowed = size + 2**30
    print(f"{options.model.name}: {size / MIB:.0f} MiB, at most {most / MIB:.0f} MiB private, {most / size:.1f} times the model", end="")
    print(f" (bound {allowed / MIB:.0f} MiB); {time.monotonic() - begun:.0f} s, exit code {code}")
    return int(code not in (0, 4) or (options.bound and most > allowed))


if __name__ == "__main__":
    raise SystemExit(main())
