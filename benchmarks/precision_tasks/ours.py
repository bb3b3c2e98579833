"""Our side: bundles compiled and run through the public API alone."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import autoglmc

from .packages import CACHE
from .peers import calibration_folder
from .task import Arrays, Run, Task

TARGET, SETTLED = "x86_cpu", "fp32"
PRECISIONS = ("fp32", "fp16", "int8", "auto")


class NotBuiltError(Exception):
    """The installed autoglmc does not have the options that this precision needs."""


def bundle(task: Task, precision: str, wrong: bool = False) -> autoglmc.Bundle:
    """The task's model compiled for TARGET in a precision, with the samples that every side calibrates with. Raises NotBuiltError, and
    what `autoglmc.compile` raises."""
    output = CACHE / "ours" / f"{task.name}-{precision}{'-wrong' if wrong else ''}"
    options = _options(task, precision, wrong)
    shutil.rmtree(output, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    return autoglmc.compile(task.model, TARGET, output=output, **options)


def _options(task: Task, precision: str, wrong: bool) -> dict[str, str | Path]:
    if precision == SETTLED:
        return {}
    known = inspect.signature(autoglmc.compile).parameters
    missing = [name for name in ("precision", "calibration_data") if name not in known]
    if missing:
        raise NotBuiltError(f"not built yet: autoglmc.compile has no {' and no '.join(missing)}")
    return {"precision": precision, "calibration_data": calibration_folder(task, wrong)}


def session_run(folder: Path) -> Run:
    """The bundle's own run, in one session."""
    session = autoglmc.Bundle.load(folder).session()

    def run(feeds: Arrays) -> Arrays:
        return session.run(feeds)

    return run


def timed_file(folder: Path) -> Path | None:
    """The model file of a bundle of one segment, to be timed on one thread: a bundle's session takes as many as there are cores."""
    segments = json.loads((folder / "manifest.json").read_bytes())["segments"]
    return folder / segments[0]["file"] if len(segments) == 1 else None
