"""A bundle on the clock: how long it takes to load, to run for the first time and ever after, and what memory it takes."""

from __future__ import annotations

import os
import pickle
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..activity import limits
from ..errors import BundleError, UserError
from ..own_python import PYTHON
from ..run.bundle import Bundle
from .environment import environment
from .messages import Answer, Request
from .record import FORMAT, BenchRecord, ColdStart, times_of


def bench(
    folder: Path,
    inputs: Mapping[str, Any] | None = None,
    *,
    named: str = "zeros",
    warmup: int = 5,
    repeat: int = 50,
    emulate: bool = False,
    recompile: bool = False,
    trust: tuple[Path, ...] = (),
    entry: str = "",
) -> tuple[BenchRecord, tuple[str, ...]]:
    """The measurement, in a process of its own, and notes on the bundle. inputs: None for zeros; named: where they come from; entry: of a
    bundle that has several.

    Raises BundleError where the bundle does not load or its process dies, UserError where it does not run."""
    bundle = Bundle.load(folder, trust=trust).entry(entry)
    given = None if inputs is None else dict(inputs)
    answer = _asked(Request(folder.absolute(), given, warmup, repeat, emulate, recompile, trust, os.getpid(), entry))
    manifest = bundle.manifest
    seconds = times_of(answer.seconds)
    record = BenchRecord(
        format=FORMAT,
        bundle=bundle.digest,
        model=manifest.model.sha256,
        target=manifest.target.name,
        verified=manifest.verification.verified,
        environment=environment(bundle, answer.emulated),
        inputs=named,
        emulated=answer.emulated,
        warmup=warmup,
        repeat=repeat,
        seconds=seconds,
        frames_per_second=1.0 / seconds.p50 if seconds.p50 else 0.0,
        segments=answer.segments,
        handoffs=answer.handoffs,
        cold_start=ColdStart(load=answer.load, first_run=answer.first_run, total=answer.load + answer.first_run),
        memory=answer.memory,
        predicted=manifest.predicted_seconds or None,
    )
    return record, answer.notes


def _asked(request: Request) -> Answer:
    with tempfile.TemporaryDirectory(prefix="autoglmc-bench-") as folder:
        question, place = Path(folder) / "request", Path(folder) / "answer"
        question.write_bytes(pickle.dumps(request))
        done = _run(question, place, request.bundle)
        if done.returncode or not place.exists():
            raise BundleError(f"the process that ran it ended: {_last_words(done)}", where=str(request.bundle))
        answer: Answer | UserError = pickle.loads(place.read_bytes())
    if isinstance(answer, UserError):
        raise answer
    return answer


def _run(question: Path, place: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    command, longest = [*PYTHON, "-m", "autoglmc.compiler.bench.worker", str(question), str(place)], limits().seconds
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=longest)
    except subprocess.TimeoutExpired:
        message = f"it was not measured within {longest:g} s"
        raise BundleError(message, where=str(bundle), help="give a smaller --repeat, or a longer --time-limit") from None


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}"
    return done.stderr.strip()[-500:] or f"exit code {done.returncode}"
