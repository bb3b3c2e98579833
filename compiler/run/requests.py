"""Many requests through one bundle, timed: one after the other and, if asked, overlapped, which must give the same bits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import BundleError
from .bundle import Bundle
from .more_generations import generations_that_fit, usual_generations
from .one_entry import one_entry
from .result import Pipelined, RunResult, run_result
from .timeline import timeline

if TYPE_CHECKING:
    from .outputs import Outputs
    from .session import Session

ROUNDS, SHORT = 3, 1.0
"""Requests that take less than so many seconds both ways are timed so many times, alternating; the faster of each counts."""


def run_requests(
    bundle: Bundle,
    inputs: Sequence[Mapping[str, Any]],
    *,
    requests: int,
    pipeline: bool = False,
    step_limit: float | None = None,
    emulate: bool = False,
    recompile: bool = False,
    resident: int | None = None,
) -> RunResult:
    """`requests` requests, the i-th on the i-th inputs, round and round. With `pipeline` they run twice, after a warm-up of every
    generation. Raises BundleError where overlapping changes a bit of an output, and as `Session.run_many` does."""
    session = one_entry(bundle.folder, bundle.manifest, emulate=emulate, recompile=recompile, resident=resident)
    each = [inputs[k % len(inputs)] for k in range(requests)]
    if pipeline:
        session.run_many(each[: usual_generations(session.manifest)], pipeline=True, step_limit=step_limit)
    seconds, outputs = _timed(session, each, step_limit)
    result = run_result(session, outputs, seconds)
    if not pipeline:
        return about(bundle, result)
    took, overlapped = _overlapped(session, each, step_limit)
    check_same(outputs, overlapped)
    for _ in range(ROUNDS - 1):  # what else the machine does can make either slower by much
        if sum(seconds) + took > SHORT:
            break
        seconds = min(seconds, _timed(session, each, step_limit)[0], key=sum)
        took, overlapped = min((took, overlapped), _overlapped(session, each, step_limit), key=lambda found: found[0])
    facts = Pipelined(
        requests=requests,
        seconds=took,
        sequential_seconds=sum(seconds),
        generations=len(session.generations),
        arena_bytes=session.arena_bytes,
        fit=generations_that_fit(session.manifest),
        loaded_again=session.loaded_again,
        timeline=timeline(session.manifest, overlapped),
    )
    return about(bundle, run_result(session, outputs, seconds, facts))


def _overlapped(session: Session, each: Sequence[Mapping[str, Any]], step_limit: float | None) -> tuple[float, list[Outputs]]:
    start = time.perf_counter()
    outputs = session.run_many(each, pipeline=True, step_limit=step_limit)
    return time.perf_counter() - start, outputs


def _timed(session: Session, each: Sequence[Mapping[str, Any]], step_limit: float | None) -> tuple[list[float], list[Outputs]]:
    seconds, outputs = [], []
    for inputs in each:
        start = time.perf_counter()
        outputs += session.run_many([inputs], step_limit=step_limit)
        seconds.append(time.perf_counter() - start)
    return seconds, outputs


def check_same(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> None:
    """Raises BundleError for the first output that is not the same to the bit."""
    for request, (a, b) in enumerate(zip(one, other, strict=True)):
        for name, value in a.items():
            if not _same(value, b[name]):
                what = f"request {request}: output {name} changes when requests overlap"
                help = "a model with random operators does that; otherwise this is a bug in autoglmc or in a runtime: please report it"
                raise BundleError(what, help=help)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if not hasattr(a, "tobytes"):
        return bool(a == b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(a.tolist() == b.tolist() if a.dtype.kind == "O" else a.tobytes() == b.tobytes())


def run_bundle(
    bundle: Bundle,
    inputs: Mapping[str, Any],
    *,
    repeat: int = 1,
    emulate: bool = False,
    recompile: bool = False,
    resident: int | None = None,
) -> RunResult:
    """Opens a bundle once and runs it `repeat` times. Raises as `Bundle.run` does."""
    session = one_entry(bundle.folder, bundle.manifest, emulate=emulate, recompile=recompile, resident=resident)
    seconds: list[float] = []
    runs: list[Outputs] = []
    for _ in range(max(repeat, 1)):
        start = time.perf_counter()
        outputs = session.run(inputs)
        seconds.append(time.perf_counter() - start)
        if runs:
            runs[-1].clear()  # times are kept of every run, values of the last
        runs.append(outputs)
    return about(bundle, run_result(session, runs, seconds))


def about(bundle: Bundle, result: RunResult) -> RunResult:
    """With what is to be told of the bundle itself."""
    return replace(result, digest=bundle.digest, signed=bundle.signed, trusted=bundle.trusted, notes=(*bundle.notes, *result.notes))
