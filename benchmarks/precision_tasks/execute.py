"""Model files on onnxruntime's CPU, one thread: answers to all samples, kept between runs, and times in pairs."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .packages import CACHE
from .task import Arrays, Run, Sample, Task

LEAST_PAIRS, TURNS = 5, 2


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model answered to a task."""

    references: list[np.ndarray]
    held_out: list[np.ndarray]


def size(path: Path) -> int:
    """Bytes of a model file and of the weights beside it, or of all files of a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return sum(p.stat().st_size for p in path.parent.glob(f"{path.name}*") if p.suffix != ".json")


def onnxruntime_run(path: Path) -> Run:
    """The model with all of onnxruntime's optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs, names = {i.name for i in session.get_inputs()}, [o.name for o in session.get_outputs()]

    def run(feeds: Arrays) -> Arrays:
        found = session.run(names, {name: array for name, array in feeds.items() if name in inputs})
        return dict(zip(names, found, strict=True))

    return run


def answers(task: Task, path: Path, open_run: Callable[[], Run]) -> Answers:
    """What the model answers to all samples of the task; answers of the same file to the same samples are taken from the cache."""
    kept = CACHE / "answers" / task.name / f"{task.digest()}-{_digest(path)}.npz"
    if not kept.exists():
        run = open_run()
        found = [*task.answers(run, task.references), *task.answers(run, task.held_out)]
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, rows=np.concatenate(found), counts=np.array([len(a) for a in found]))
        del run
        gc.collect()
    with np.load(kept) as held:
        parts = np.split(held["rows"], np.cumsum(held["counts"])[:-1])
    return Answers(parts[: len(task.references)], parts[len(task.references) :])


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def time_ratios(first: Run, others: Mapping[str, Run], sample: Sample, seconds: float) -> dict[str, Any]:
    """By name the ratios, pair by pair, of the first one's time through the other's. The two take turns, so that each finds the caches as
    the other left them; which other one it is rotates. Seconds of this process on the processor, all threads."""
    feeds, names = sample.steps[0], list(others)
    ratios: dict[str, list[float]] = {name: [] for name in names}
    started, turn = time.perf_counter(), 0
    while names and (turn < LEAST_PAIRS or time.perf_counter() - started < seconds * len(names)):
        for name in (*names[turn % len(names) :], *names[: turn % len(names)]):
            for run in (first, others[name]):  # warms up: the pair before was with another one
                run(feeds)
            turns = [(_seconds(first, feeds), _seconds(others[name], feeds)) for _ in range(TURNS)]
            ratios[name].append(sum(a for a, _ in turns) / sum(b for _, b in turns))
        turn += 1
    return {name: np.array(found) for name, found in ratios.items()}


def _seconds(run: Run, feeds: Arrays) -> float:
    start = time.process_time()
    run(feeds)
    return time.process_time() - start
