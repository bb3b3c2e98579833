"""Every operator case of the ONNX standard through the compiler, for every stock target: `make conformance`.

    python tests/conformance.py --answers FOLDER --targets x86_cpu    # one target; the next run goes on with the others

A case that onnxruntime loads and gets right uncompiled must compile and give the case's own expected outputs. One that onnxruntime cannot
load, or gets wrong, must be refused with a message, or be no worse than onnxruntime; docs/conformance.md lists those. So it does with
cases that a target excludes by a number of its own, where no device of it is run by onnxruntime: its opset range, a memory's size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from operator_cases import Case, collect, reference, same

from autoglmc.targets.stock import stock_names

TARGETS = stock_names()
RUNTIME = "onnxruntime"
PATIENCE = 120.0
"""Seconds after which a case counts as crashed."""
DRAWN = ("Bernoulli", "Random", "Multinomial")
"""Operators whose outputs are drawn at random."""
LIMITS = (
    (re.compile(r"; \w+ reads opsets (\d+\.\.\d+)"), "opset"),
    (re.compile(r"budget (\w+: predicted .*?, and the target allows <= [\d.]+ \w+)"), "memory"),
)
"""How a refusal says which number of the target it is of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a case: right, wrong, refused (a message), or crashed; for the runtime, refused means that it raised."""

    case: str
    target: str
    verdict: str
    message: str = ""
    seconds: float = 0.0
    like_runtime: bool = False
    """Wrong by the case, and what onnxruntime itself computes (or, drawn at random, of the same shapes and dtypes)."""
    verified: bool | None = None
    """What the compiler says; None where it was not asked, or wrote no bundle."""
    reasons: str = ""
    """Why it is not verified."""
    exercised: float = 1.0


def answer(case: Case, target: str, verify: bool = False) -> Answer:
    """One case through onnxruntime alone (target RUNTIME) or through the compiler and, emulated, the bundle."""
    start = time.perf_counter()
    like, judged = False, Judged(None)
    try:
        got, judged = (reference(case), judged) if target == RUNTIME else compiled(case, target, verify)
        difference = same(case.outputs, got, case)
        verdict, message = ("wrong", difference) if difference else ("right", "")
        like = bool(difference) and target != RUNTIME and like_runtime(case, got)
    except Exception as problem:
        verdict, message = ("refused" if target == RUNTIME or _is_answer(problem) else "crashed"), f"{type(problem).__name__}: {problem}"
    seconds = time.perf_counter() - start
    return Answer(case.name, target, verdict, message, seconds, like, judged.verified, judged.reasons, judged.exercised)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the compiler says of a bundle that it wrote."""

    verified: bool | None
    reasons: str = ""
    exercised: float = 1.0


def like_runtime(case: Case, got: Sequence[Any]) -> bool:
    if not any(name.startswith(DRAWN) for name in case.operators.split(", ")):
        first, second = reference(case), reference(case)
        if not same(first, second, case):
            return not same(first, got, case)
    return [(a.shape, a.dtype) for a in case.outputs] == [(a.shape, a.dtype) for a in got]


def limit(found: Answer) -> str:
    """The number of the target that a refusal is of; "" where it is no refusal of that kind."""
    if found.verdict != "refused" or found.target == RUNTIME or found.target not in plan_only():
        return ""
    message = " ".join(found.message.split())
    return next((f"{kind} {said[1]}" for pattern, kind in LIMITS if (said := pattern.search(message))), "")


@cache
def plan_only() -> frozenset[str]:
    """Stock targets of which onnxruntime runs no device here: what they refuse, nothing takes over."""
    from autoglmc.compiler.hw.load_target import load_target

    return frozenset(name for name in stock_names() if all(d.runtime.adapter != "ort" for d in load_target(name).devices))


def compiled(case: Case, target: str, verify: bool = False) -> tuple[list[Any], Judged]:
    """The case's outputs as the bundle for `target` computes them, and whether it is verified; the case's inputs are compared first."""
    from autoglmc.compiler.driver.compile_model import compile_model
    from autoglmc.compiler.run.bundle import Bundle

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(case.model.SerializeToString())
        given = [("the case", case.feeds)] if verify and case.feeds else None
        result = compile_model(path, target, shapes=_open_shapes(case), verify=verify, emulate=verify, inputs=given)
        outputs = Bundle.load(result.folder).run(case.feeds, emulate=True)
        report = result.verification
        judged = Judged(None) if isinstance(report, str) else Judged(result.verified, "; ".join(result.reasons), report.exercised)
        return [outputs[value.name] for value in case.model.graph.output], judged


def _open_shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """What a user would write as --shape: the sizes of inputs with dims that have none."""
    return {
        value.name: case.feeds[value.name].shape
        for value in case.model.graph.input
        if any(not dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
    }


def _is_answer(problem: Exception) -> bool:
    from autoglmc.compiler.errors import UserError

    return isinstance(problem, UserError)


def run_all(
    cases: Sequence[Case], targets: Sequence[str], processes: int, verify: bool = False, done: Collection[tuple[str, str]] = ()
) -> Iterator[Answer]:
    """Answers as they come, target by target, from processes of their own: one that dies takes only its case with it. done: names of cases
    and targets that are not asked again."""
    jobs = iter([(index, target) for target in targets for index in range(len(cases)) if (cases[index].name, target) not in done])
    workers = {worker.pipe: worker for worker in (_Worker(cases, verify) for _ in range(processes)) if worker.give(jobs)}
    while workers:
        ready = wait(list(workers), timeout=1)
        for pipe, worker in list(workers.items()):
            found = worker.take() if pipe in ready else worker.overdue()
            if found is None:
                continue
            yield found
            if not worker.process.is_alive() or worker.dead:
                del workers[pipe]
                worker = _Worker(cases, verify)
                workers[worker.pipe] = worker
            if not worker.give(jobs):
                worker.stop()
                del workers[worker.pipe]


class _Worker:
    """A forked process (the cases need not be built again) and the job it is at."""

    def __init__(self, cases: Sequence[Case], verify: bool) -> None:
        context = multiprocessing.get_context("fork")
        self.cases = cases
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_work, args=(cases, verify, far), daemon=True)
        self.process.start()
        far.close()
        self.job: tuple[int, str] = (0, "")
        self.since = 0.0
        self.dead = False

    def give(self, jobs: Iterator[tuple[int, str]]) -> bool:
        job = next(jobs, None)
        if job is None:
            return False
        self.job, self.since = job, time.monotonic()
        self.pipe.send(job)
        return True

    def take(self) -> Answer:
        try:
            found: Answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return self._lost(f"the process ended with {self.process.exitcode}")
        return found

    def overdue(self) -> Answer | None:
        if time.monotonic() - self.since < PATIENCE:
            return None
        self.process.kill()
        return self._lost(f"no answer within {PATIENCE:g} s")

    def stop(self) -> None:
        """By a message: closing the pipe does not end it, as workers forked later hold its near end too."""
        self.pipe.send(None)
        self.process.join()

    def _lost(self, why: str) -> Answer:
        self.dead = True
        self.process.join()
        return Answer(self.cases[self.job[0]].name, self.job[1], "crashed", why)


def _work(cases: Sequence[Case], verify: bool, pipe: Connection) -> None:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    while (job := pipe.recv()) is not None:
        index, target = job
        pipe.send(answer(cases[index], target, verify))


def failures(answers: Sequence[Answer]) -> list[Answer]:
    """Answers that must not be: not right where onnxruntime is, but for a limit of the target; a crash; wrong unlike onnxruntime; verified
    though wrong, or not verified though right, where onnxruntime is."""
    alone = {a.case: a.verdict for a in answers if a.target == RUNTIME}
    bad = []
    for a in answers:
        if a.target == RUNTIME or limit(a):
            continue
        known = alone.get(a.case, "right")
        if a.verified is not None and a.verified != (a.verdict == "right") and (a.verified or known == "right"):
            bad.append(replace(a, message=f"{'verified' if a.verified else f'not verified ({a.reasons})'}. {a.message}"))
            continue
        if a.verdict == "right":
            continue
        if known == "right" or a.verdict == "crashed" or (a.verdict == "wrong" and not a.like_runtime):
            bad.append(a)
    return bad


def summary(answers: Sequence[Answer]) -> str:
    """One line per target: how many cases got which answer."""
    lines = []
    for target in dict.fromkeys(a.target for a in answers):
        mine = [a for a in answers if a.target == target]
        count = Counter(a.verdict for a in mine)
        parts = ", ".join(f"{count[verdict]} {verdict}" for verdict in ("right", "refused", "wrong", "crashed"))
        lines.append(f"{target:18} {len(mine)} cases: {parts}; {sum(a.seconds for a in mine):.0f} s")
    return "\n".join(lines)


def _answers(cases: Sequence[Case], targets: Sequence[str], options: argparse.Namespace) -> list[Answer]:
    """Those that are kept, and the others, which are kept then; by target, in the order of the cases."""
    from conformance_answers import Kept

    kept = Kept(options.answers, len(cases), options.verify)
    found = {(a.case, a.target): a for target in targets for a in kept.of(target)}
    for a in run_all(cases, targets, options.processes, options.verify, frozenset(found)):
        kept.keep(a)
        found[a.case, a.target] = a
    return [found[case.name, target] for target in targets for case in cases]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--names", type=Path, help="a file with names of cases, one a line")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--verify", action="store_true", help="let the compiler verify too, on inputs of its own")
    parser.add_argument("--answers", type=Path, help="keep answers in this folder; what it has is not asked again")
    parser.add_argument("--json", type=Path, help="write every answer here")
    parser.add_argument("--table", type=Path, help="write the table of what onnxruntime itself cannot do here")
    options = parser.parse_args()
    wanted = set(options.names.read_text().split()) if options.names else None
    cases = [c for c in collect() if options.only in c.name and (wanted is None or c.name in wanted)]
    answers = _answers(cases, (RUNTIME, *options.targets.split(",")), options)
    bad = failures(answers)
    for a in bad:
        print(f"FAIL {a.target} {a.case}: {a.verdict}: {' '.join(a.message.split())[:400]}")
    if options.json:
        options.json.write_text(json.dumps([asdict(a) for a in answers], indent=0))
    if options.table:
        from conformance_table import table

        options.table.write_text(table(cases, answers), encoding="utf-8")
    print(summary(answers))
    print(f"{len(bad)} failures")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
