"""`python -m autoglmc.compiler.devices.try_settings`: runs a model on onnxruntime's CPU under given settings, for compiler/probe.

A job is a line of JSON on stdin: {"model": FILE, "feeds": FILE, "save": FILE, "settings": [[level, [name, …]], …], "seconds": S}. The model
is run once under the first settings, and its outputs are saved. If S is not 0, the models of all settings then run in turn for about
that long. The answer is a line on stdout: {"problem": MESSAGE or "", "seconds": [[…], …]}. A job that ends this process, or hangs, is the
parent's to notice. Values are files that hold a GraphProto with an initializer for each: it keeps every dtype.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..parent import end_with_parent
from .cpu_session import open_session
from .ort_settings import OrtSettings
from .ort_values import run_session

if TYPE_CHECKING:
    import onnxruntime

ROUNDS = (7, 200)
"""Least and most runs of each model that are timed."""


def main() -> int:
    """Until stdin ends."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the runtime prints is no answer
    for line in sys.stdin:
        try:
            answer = {"problem": "", "seconds": _run(json.loads(line))}
        except Exception as error:  # onnxruntime's share no base class
            answer = {"problem": str(error).strip() or type(error).__name__, "seconds": []}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


def _run(job: Mapping[str, Any]) -> list[list[float]]:
    feeds = read_values(Path(job["feeds"]))
    sessions = [open_session(Path(job["model"]), settings=OrtSettings(level, tuple(off))) for level, off in job["settings"]]
    names = [value.name for value in sessions[0].get_outputs()]
    given = {value.name: feeds[value.name] for value in sessions[0].get_inputs()}
    write_values(Path(job["save"]), dict(zip(names, run_session(sessions[0], names, given), strict=True)))
    return _timed(sessions, names, given, job["seconds"]) if job["seconds"] else []


def _timed(
    sessions: Sequence[onnxruntime.InferenceSession], names: Sequence[str], given: Mapping[str, Any], budget: float
) -> list[list[float]]:
    """Seconds of each session's runs, in turn; the first of each is not counted."""
    taken: list[list[float]] = [[] for _ in sessions]
    begin, (least, most) = time.perf_counter(), ROUNDS
    while len(taken[0]) <= least or (time.perf_counter() - begin < budget and len(taken[0]) <= most):
        for session, times in zip(sessions, taken, strict=True):
            start = time.perf_counter()
            run_session(session, names, given)
            times.append(time.perf_counter() - start)
    return [times[1:] for times in taken]


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Arrays by name. Raises TypeError for a value that is no array: a sequence, a map, None."""
    import numpy
    from onnx import GraphProto, numpy_helper

    graph = GraphProto()
    for name, value in values.items():
        if isinstance(value, (list, tuple, dict)) or value is None:
            raise TypeError(f"{name} is not an array")
        graph.initializer.append(numpy_helper.from_array(numpy.asarray(value), name))
    path.write_bytes(graph.SerializeToString())


def read_values(path: Path) -> dict[str, Any]:
    """What `write_values` wrote."""
    from onnx import GraphProto, numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in GraphProto.FromString(path.read_bytes()).initializer}


if __name__ == "__main__":
    sys.exit(main())
