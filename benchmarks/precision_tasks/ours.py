"""Our side: bundles that the command line compiles and that the public API runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from .packages import CACHE
from .peers import calibration_folder
from .task import Arrays, Run, Task

TARGET, AS_IT_IS = "x86_cpu", "fp32"
PRECISIONS = ("fp32", "fp16", "int8", "int16", "auto")
COMMAND = (sys.executable, "-c", "from autoglmc.compiler.cli import main; main()")
NEEDED = ("--precision", "--calibration-data")
TIMEOUT = 1200
ONE_STEP = ("--time-limit", "600")
"""Seconds for one thing that is done with a model, where other programs keep the machine busy."""


class NotBuiltError(Exception):
    """The command made no bundle in this precision: it lacks the options, or refused them."""


def bundle(task: Task, precision: str, wrong: bool = False) -> Path:
    """The folder of the task's model compiled for TARGET in a precision, with the samples that every side calibrates with. Raises
    NotBuiltError."""
    output = CACHE / "ours" / f"{task.name}-{precision}{'-wrong' if wrong else ''}"
    command = ["compile", str(task.model), "--target", TARGET, "-o", str(output), *ONE_STEP]
    if precision != AS_IT_IS:
        known = _ran("compile", "--help").stdout
        if missing := [option for option in NEEDED if option not in known]:
            raise NotBuiltError(f"not built yet: autoglmc compile has no {' and no '.join(missing)}")
        command += ["--precision", precision, "--calibration-data", str(calibration_folder(task, wrong))]
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    done = _ran(*command)
    if done.returncode:
        raise NotBuiltError(next((line for line in done.stderr.splitlines() if line.startswith("error")), f"exit code {done.returncode}"))
    return output


def _ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=TIMEOUT)


def session_run(folder: Path) -> Run:
    """The bundle's own run, in one session."""
    import autoglmc

    session = autoglmc.Bundle.load(folder).session()

    def run(feeds: Arrays) -> Arrays:
        return session.run(feeds)

    return run


def timed_file(folder: Path) -> Path | None:
    """The model file of a bundle of one segment, to be timed on one thread: a bundle's session takes as many as there are cores."""
    segments = json.loads((folder / "manifest.json").read_bytes())["segments"]
    return folder / segments[0]["file"] if len(segments) == 1 else None
