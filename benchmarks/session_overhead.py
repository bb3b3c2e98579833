"""What a session costs over the onnxruntime sessions it consists of, and whether it keeps memory.

    python benchmarks/session_overhead.py [--seconds 4] [--runs 10000] [MODEL …]

Each model is compiled for ort_devices.hw, whose three devices are all onnxruntime, and so cut into segments. Bare: a loop that calls
run_with_iobinding on the k sessions with buffers bound once, nothing else, not even RunOptions; the inputs are there already. Ours:
Session.run, which checks and copies the inputs, copies the outputs, and times every step; and the same without any of it (`in place`:
run_step on what lies in the arena). `unsplit` is Session.run of the model compiled for x86_cpu. Bare and ours use the same sessions and the
same buffers; all run on one thread, alternating in an order that rotates. A run's time is what its thread spent on the processor, and the
fastest counts. Session.run must be within 1.03 of bare; otherwise the exit code is 1. Then the dispatch: one Relu of four numbers, so that
there is nothing but the call; a segment must be within 2 of bare, Session.run within 4. Then one small model runs RUNS times: neither
tracemalloc's bytes nor the process's resident pages may grow.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
import timeit
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fetch_models import ROOT, fetch

sys.path.append(str(ROOT / "tests"))

from models import SHAPES

from autoglmc.compiler.devices import ort
from autoglmc.compiler.devices.cpu_session import open_session
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.session import Session
from autoglmc.compiler.verify.reference import read_graph

TARGET = Path(__file__).with_name("ort_devices.hw")
NAMES = ("bert_tiny", "glm_tiny", "lightnet", "magika_v3_3", "onnx_seeded_shufflenet", "ppocr2_cls", "ppocr4_rec", "silero_vad_16k_op15")
MOST = 1.03
MOST_DISPATCH = {"segment": 2.0, "in place": 2.0, "ours": 4.0}
SMALL = "magika_v3_3"
KEPT = 64 << 10
"""Bytes that the interpreter may move around in many runs without keeping any per run."""


def session_of(name: str, target: str | Path, folder: Path) -> tuple[Session, dict[str, Any]]:
    out = folder / f"{name}.{Path(target).stem}"
    compile_model(fetch(name), target, shapes=SHAPES[name], output=out, verify=False)
    session = Bundle.load(out).session()
    wanted = {value.name: value.shape for value in session.manifest.model.inputs if value.shape is not None}
    made = generate_inputs(read_graph(fetch(name)), 0, wanted)
    return session, {name: made[name] for name in (value.name for value in session.manifest.model.inputs)}


def bare(session: Session) -> Callable[[], None] | None:
    """The same sessions and bindings without ours around them; None where a segment passes values by name."""
    if any(port.slot is None for record in session.manifest.segments for port in (*record.inputs, *record.outputs)):
        return None
    order = [step.segment for step in session.manifest.schedule]
    if any(k is None for k in order):
        raise SystemExit("ort_devices.hw has copies: nothing to compare with")
    pairs = [(session._segments[k]._session, session._segments[k]._binding) for k in order]  # type: ignore[attr-defined,index]

    def run() -> None:
        for each, binding in pairs:
            each.run_with_iobinding(binding)

    return run


def fastest(calls: Mapping[str, Callable[[], object]], prepare: Callable[[], object], seconds: float) -> dict[str, float]:
    """Seconds of each call's fastest run, all alternating; `prepare` before each is not counted."""
    best = dict.fromkeys(calls, float("inf"))
    names, started, rounds = list(calls), time.perf_counter(), 0
    while rounds < 50 or time.perf_counter() - started < seconds * len(calls):
        turn = rounds % len(calls)
        for name in (*names[turn:], *names[:turn]):
            call = calls[name]
            prepare()
            start = time.thread_time()
            call()
            best[name] = min(best[name], time.thread_time() - start)
        rounds += 1
    return best


def measure(name: str, folder: Path, seconds: float) -> float | None:
    """Prints one row; the ratio that is bounded."""
    session, inputs = session_of(name, TARGET, folder)
    whole, _ = session_of(name, "x86_cpu", folder)
    session.run(inputs)
    whole.run(inputs)
    direct, steps = bare(session), range(len(session.manifest.schedule))

    def in_place() -> None:
        for step in steps:
            session.run_step(step)

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: session.run(inputs),
        "in place": in_place,
        "unsplit": lambda: whole.run(inputs),
    }
    if direct is not None:
        calls["bare"] = direct
    best = fastest(calls, lambda: session.put(inputs), seconds)
    compared = "a segment passes values by name" if direct is None else ""
    ratios = [best[a] / best[b] if b in best else float("nan") for a, b in (("ours", "bare"), ("in place", "bare"), ("ours", "unsplit"))]
    milliseconds = "".join(f"{best.get(k, float('nan')) * 1e3:10.3f}" for k in ("bare", "in place", "ours", "unsplit"))
    print(
        f"{name:24}{len(session.manifest.segments):9}{milliseconds}" + "".join(f"{r:12.3f}" for r in ratios) + f"  {compared}", flush=True
    )
    return None if direct is None else ratios[0]


def dispatch(folder: Path) -> dict[str, float]:
    """Prints what a call of a segment costs, bare and ours, where the segment does next to nothing; ratios to bare."""
    model = onnx.parser.parse_model('<ir_version: 8, opset_import: ["": 18]> g (float[4] x) => (float[4] y) { y = Relu(x) }')
    onnx.save_model(model, folder / "relu.onnx")
    compile_model(folder / "relu.onnx", "x86_cpu", output=folder / "relu", verify=False)
    session, inputs = Bundle.load(folder / "relu").session(), {"x": np.ones(4, np.float32)}
    session.run(inputs)
    direct, segment = bare(session), session._segments[0]
    assert direct is not None
    calls = {
        "bare": direct,
        "segment": lambda: segment.run({}),
        "in place": lambda: session.run_step(0),
        "ours": lambda: session.run(inputs),
    }
    best = {name: min(timeit.repeat(call, time.thread_time, number=1000, repeat=20)) / 1000 for name, call in calls.items()}
    print(
        "dispatch: " + ", ".join(f"{name} {best[name] * 1e6:.2f} us ({best[name] / best['bare']:.2f} of bare)" for name in calls),
        flush=True,
    )
    return {name: seconds / best["bare"] for name, seconds in best.items()}


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def growth(session: Session, inputs: Mapping[str, Any], runs: int) -> tuple[int, int]:
    """Bytes that tracemalloc and the operating system see more after so many runs than after a warm-up of a tenth."""
    for _ in range(max(runs // 10, 20)):
        session.run(inputs)
    gc.collect()
    tracemalloc.start()
    session.run(inputs)
    before, pages = tracemalloc.get_traced_memory()[0], resident()
    for _ in range(runs):
        session.run(inputs)
    gc.collect()
    kept, more = tracemalloc.get_traced_memory()[0] - before, resident() - pages
    tracemalloc.stop()
    return kept, more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names known to fetch_models.py (default: eight of the ten)")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each side of each model")
    parser.add_argument("--runs", type=int, default=10_000, help="runs of the memory test")
    options = parser.parse_args()
    ort.open_session = partial(open_session, threads=1)
    unmet = []
    columns = "".join(f"{name:>10}" for name in ("bare", "in place", "ours", "unsplit"))
    print(f"{'milliseconds':24}{'segments':>9}{columns}{'ours/bare':>12}{'place/bare':>12}{'our/unsplit':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models or NAMES:
            ratio = measure(name, Path(folder), options.seconds)
            if ratio is not None and ratio > MOST:
                unmet.append(f"{name} {ratio:.3f} of the bare sessions")
        ratios = dispatch(Path(folder))
        unmet += [f"{name} {ratios[name]:.2f} of a bare dispatch" for name, most in MOST_DISPATCH.items() if ratios[name] > most]
        kept, more = growth(*session_of(SMALL, TARGET, Path(folder)), options.runs)
    print(f"{SMALL}, {options.runs} runs: {kept} bytes more in Python, {more} bytes more resident")
    if kept > KEPT or more > KEPT * 16:
        unmet.append(f"memory grows: {kept} bytes in Python, {more} resident")
    if unmet:
        raise SystemExit(f"not met: {'; '.join(unmet)}")


if __name__ == "__main__":
    main()
