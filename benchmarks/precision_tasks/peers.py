"""The peers' model files of a task, made once and kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .packages import CACHE
from .task import Arrays, Task

FORMATS: Mapping[str, str] = {
    "ort-static-minmax": "int8", "ort-static-entropy": "int8", "ort-static-percentile": "int8", "nncf": "int8", "nncf-fused": "int8",
    "aimet": "int8", "aimet-fused": "int8", "ort-dynamic": "dynamic", "ort-static-a16w8": "a16w8", "ort-int4": "int4",
    "ort-int4-gather": "int4", "ort-fp16": "fp16",
}  # fmt: skip
"""Which uniform format each peer makes; `int8` are activations and weights of 8 bits, ranges from the calibration samples."""
TIMEOUT = 900
SCRIPT = Path(__file__).with_name("quantise_peer.py")


@dataclass(frozen=True, slots=True)
class Made:
    """A peer's file, or why there is none."""

    path: Path | None
    problem: str = ""


def made(task: Task, tool: str, pythons: Mapping[str, str], wrong: bool = False) -> Made:
    """What the peer makes of the task's model; with `wrong` from calibration data of another kind. `pythons`: an interpreter by tool."""
    folder = CACHE / "peers" / f"{task.name}-{task.digest()}-{_tools()}{'-wrong' if wrong else ''}"
    output = folder / f"{tool}.onnx"
    if not output.exists():
        data = calibration_folder(task, wrong)
        problem = _quantised([pythons.get(tool, sys.executable), tool, str(task.model), str(data), str(output)])
        if problem:
            return Made(None, problem)
    return Made(output)


def _tools() -> str:
    """Of how the peers are called: files that an older script made are not taken."""
    return hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]


def calibration_folder(task: Task, wrong: bool = False) -> Path:
    """The task's calibration samples as a folder of .npz files, a run each: the same for every side."""
    folder = CACHE / "calibration" / f"{task.name}-{task.digest()}{'-wrong' if wrong else ''}"
    batches: tuple[Arrays, ...] = task.wrong_calibration if wrong else task.calibration
    if not folder.exists() or len(list(folder.glob("*.npz"))) != len(batches):
        folder.mkdir(parents=True, exist_ok=True)
        for i, arrays in enumerate(batches):
            np.savez(folder / f"{i:04}.npz", **arrays)
    return folder


def _quantised(arguments: list[str]) -> str:
    """The last line of what went wrong, if anything did."""
    python, *rest = arguments
    output = Path(rest[-1])
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        command = [python, str(SCRIPT), *rest]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    except subprocess.TimeoutExpired:
        return f"not done after {TIMEOUT} s"
    if done.returncode == 0 and output.exists():
        return ""
    output.unlink(missing_ok=True)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else f"exit code {done.returncode}"
