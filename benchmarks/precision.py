"""How accurate, small and fast are int8, fp16, int4 and mixed models on real tasks: ours beside what peers make, in one run.

    python benchmarks/precision.py [--only TOOL …] [--seconds 2] [--aimet PYTHON] [TASK …]

Needs, in an environment of its own, autoglmc and what benchmarks/precision_tasks/requirements.txt lists; the speech task espeak-ng
(Debian). aimet-onnx brings another torch: --aimet names the interpreter of an environment that has it (and onnxruntime).

Four tasks, whose right answers come from the data and not from a model: `news`, MiniLM's embeddings of the BBC's articles, five kinds by
nearest centroid; `ocr`, PP-OCRv4 on 500 rendered lines in six fonts with noise; `filetypes`, magika on files of this installation, twenty
kinds by their endings; `speech`, silero VAD on sentences that espeak-ng speaks, in noise. All sides start from the same fp32 file with
bound dims, calibrate with the same samples and are judged on all held-out samples; peers run in onnxruntime on one thread, ours in the
bundle's own run. Brackets hold 95 % of the means of 4,000 resamplings; differences are resampled sample by sample. A speed is the median
of pairs that take turns: fp32's processor time through the other's; one thread, a bundle's only segment in onnxruntime as the peers' files.
fp32's own speed is that of a second session of it: how far it is from 1 is what the times are worth.

Two controls must fail: models calibrated with data of another kind (empty articles, grey pictures, empty files, silence), and the labels
of other samples. What is made and answered is kept in .cache/precision; times are measured anew. The exit code is 1 where a demand does
not hold, or cannot be decided because our side is not built.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from precision_tasks import TASKS, Task
from precision_tasks.execute import Answers, answers, onnxruntime_run, size, time_ratios
from precision_tasks.ours import PRECISIONS, NotBuiltError, bundle, session_run, timed_file
from precision_tasks.peers import FORMATS, made
from precision_tasks.statistics import difference, mean, median
from precision_tasks.task import Run
from precision_tasks.verdicts import FP32, OURS, Controls, Row, Verdict, signed, verdicts

CONTROL = "ort-static-minmax"
SHUFFLED = 7
OWN_FORMS = {"auto": "mixed", "int16": "a16w8"}


@dataclass(frozen=True, slots=True)
class Side:
    """A model of a task that can be run: a file, or a bundle's folder."""

    name: str
    form: str
    path: Path

    def open(self) -> Run:
        return session_run(self.path) if self.name.startswith(OURS) else onnxruntime_run(self.path)

    def timed(self) -> Run | None:
        """On one thread; None where a bundle has several segments."""
        path = timed_file(self.path) if self.name.startswith(OURS) else self.path
        return None if path is None else onnxruntime_run(path)


def main() -> int:
    asked = _arguments()
    pythons = dict.fromkeys(("aimet", "aimet-fused"), asked.aimet) if asked.aimet else {}
    held: list[Verdict] = []
    for name in asked.tasks or TASKS:
        task = TASKS[name]()
        sides, failures = _sides(task, asked.only or tuple(FORMATS), pythons)
        rows = [_row(task, side) for side in sides]
        controls = _controls(task, [row.name for row in rows], pythons)
        rows = _timed(task, sides, rows, asked.seconds)
        _print_task(task, rows, failures)
        held += _print_verdicts(verdicts(task.name, task.least, rows, controls))
    failed = [v for v in held if not v.holds]
    print(f"\n{len(held) - len(failed)} of {len(held)} demands hold")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", choices=[[], *TASKS], metavar="TASK", default=[])
    parser.add_argument("--only", nargs="+", choices=list(FORMATS), metavar="TOOL")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--aimet", metavar="PYTHON")
    return parser.parse_args()


def _sides(task: Task, tools: Sequence[str], pythons: Mapping[str, str]) -> tuple[list[Side], dict[str, str]]:
    """fp32, what the peers made, and our bundles; why others are missing."""
    sides, failures = [Side(FP32, FP32, task.model)], {}
    for tool in tools:
        found = made(task, tool, pythons)
        if found.path is None:
            failures[tool] = found.problem
        else:
            sides.append(Side(tool, FORMATS[tool], found.path))
    for precision in PRECISIONS:
        try:
            sides.append(Side(OURS + precision, OWN_FORMS.get(precision, precision), bundle(task, precision)))
        except NotBuiltError as problem:
            failures[OURS + precision] = str(problem).splitlines()[0]
    return _that_open(sides, failures), failures


def _that_open(sides: Sequence[Side], failures: dict[str, str]) -> list[Side]:
    kept = []
    for side in sides:
        try:
            side.open()
            kept.append(side)
        except Exception as problem:  # a peer's model may be refused by the runtime; onnxruntime's exceptions share no class
            failures[side.name] = f"onnxruntime: {str(problem).splitlines()[0][:160]}"
    return kept


def _row(task: Task, side: Side) -> Row:
    return Row(side.name, side.form, size(side.path) / 1e6, _scores(task, side.path, side.open))


def _scores(task: Task, path: Path, open_run: Callable[[], Run], shuffled: int | None = None) -> np.ndarray:
    found: Answers = answers(task, path, open_run)
    return task.scores(found.references, found.held_out, shuffled)


def _controls(task: Task, measured: Sequence[str], pythons: Mapping[str, str]) -> Controls:
    wrong = {}
    if CONTROL in measured:
        found = made(task, CONTROL, pythons, wrong=True)
        if found.path is not None:
            path = found.path
            wrong[CONTROL] = _scores(task, path, lambda: onnxruntime_run(path))
    if OURS + "int8" in measured:
        folder = bundle(task, "int8", wrong=True)
        wrong[OURS + "int8"] = _scores(task, folder, lambda: session_run(folder))
    return Controls(wrong, _scores(task, task.model, lambda: onnxruntime_run(task.model), SHUFFLED))


def _timed(task: Task, sides: Sequence[Side], rows: Sequence[Row], seconds: float) -> list[Row]:
    runs = {side.name: run for side in sides if (run := side.timed()) is not None}
    ratios = time_ratios(sides[0].open(), runs, task.held_out[0], seconds)
    return [replace(row, speed=median(ratios[row.name])) if row.name in ratios else row for row in rows]


def _print_task(task: Task, rows: Sequence[Row], failures: Mapping[str, str]) -> None:
    print(
        f"\n{task.name}: {task.metric}, {len(task.held_out)} held-out samples, {len(task.calibration)} to calibrate, data {task.digest()}"
    )
    print(f"{'':24}{'format':>9}{'MB':>8}{'accuracy':>24}{'to fp32, points':>28}{'times as fast as fp32':>26}")
    for row in rows:
        right, apart = mean(row.scores), difference(row.scores, rows[0].scores)
        fast = "" if row.speed is None else f"{row.speed.middle:.2f} [{row.speed.low:.2f}, {row.speed.high:.2f}]"
        accuracy = f"{right.middle:.3f} [{right.low:.3f}, {right.high:.3f}]"
        print(f"{row.name:24}{row.form:>9}{row.megabytes:8.1f}{accuracy:>24}{signed(apart).removesuffix(' points'):>28}{fast:>26}")
    for name, problem in failures.items():
        print(f"{name:24}  {problem}")


def _print_verdicts(found: Sequence[Verdict]) -> list[Verdict]:
    listed = list(found)
    for verdict in listed:
        word = "not decided" if verdict.holds is None else "holds" if verdict.holds else "DOES NOT HOLD"
        print(f"{word:14} {verdict.demand}: {verdict.found}")
    return listed


if __name__ == "__main__":
    sys.exit(main())
