"""Arm's compiler Vela, in a process of its own: it ends with a signal on files that it does not understand."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from ...own_python import PYTHON
from ...parent import ending
from ..adapter import CompilerFault
from .configuration import Configuration
from .reports import VelaReport, read_reports
from .vela_child import REFUSED

LONGEST = 300.0
"""Seconds for one file; a MobileNet takes 2."""
MOST_MEMORY = 8 << 30
"""Bytes of address space; small models take 45 MB."""
LINES = 3
"""Of Vela's output that a message quotes."""
STEM = "segment"


def run_vela(content: bytes, wanted: Configuration, longest: float = LONGEST, memory: int = MOST_MEMORY) -> tuple[bytes, VelaReport]:
    """The file for the NPU, and what Vela says of it. `content`: a .tflite file.

    Raises ValueError where Vela refuses it, CompilerFault where it crashes, takes too long, or writes other reports than are known here."""
    with tempfile.TemporaryDirectory(prefix="autoglmc-vela-") as work:
        folder = Path(work)
        (folder / f"{STEM}.tflite").write_bytes(content)
        output = _run(folder, wanted, longest, memory)
        try:
            report = read_reports(folder / "out", output)
        except ValueError as problem:
            raise CompilerFault(str(problem)) from None
        made = folder / "out" / f"{STEM}_vela.tflite"
        if not made.is_file():
            raise CompilerFault(f"Vela wrote no file: {_last(output)}")
        return made.read_bytes(), report


def _run(folder: Path, wanted: Configuration, longest: float, memory: int) -> str:
    options = ["--show-cpu-operations", "--verbose-performance", "--output-dir", str(folder / "out")]
    command = [*PYTHON, "-m", "autoglmc.compiler.devices.ethos_u.vela_child", str(memory), *wanted.arguments(), *options]
    try:
        done = subprocess.run(
            [*command, str(folder / f"{STEM}.tflite")], capture_output=True, text=True, errors="replace", timeout=longest, cwd=folder
        )
    except subprocess.TimeoutExpired:
        raise CompilerFault(f"Vela did not finish within {longest:g} s") from None
    if done.returncode == REFUSED:
        raise ValueError(f"Vela refuses the file: {_last(done.stdout + done.stderr)}")
    if done.returncode:
        raise CompilerFault(f"Vela ended with {ending(done.returncode)}: {_last(done.stderr or done.stdout, 1)}")
    return done.stdout + done.stderr


def _last(output: str, lines: int = LINES) -> str:
    return " ".join(output.rstrip().split("\n")[-lines:]).strip()[-500:] or "no message"
