"""What --resident keeps: private memory of a decoder's process, tokens and times, beside what was predicted.

    python benchmarks/on_demand.py MODEL [--resident 300MiB …] [--tokens 32] [--keep FOLDER]

MODEL: a decoder with past.* and present.* (docs/decoders.md). It is compiled without --resident, with each that is given, and with 10 %
more than the smallest that is kept. Each bundle then makes tokens in a process of its own, one thread, whose private memory (RssAnon) is
sampled every 2 ms; the same tokens are expected of all. Where control groups can be made (version 1, as root), the last one also runs in a
group that may have its predicted peak, the runtime and 10 % more: mapped pages count there, and the system takes them back. Linux only.
Beside that, for the segment of one token: what the other ways would take, which are weights that are not packed, and a session that is
opened whenever it is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from autoglmc.compiler.bundle.resident import peaks_of
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.quantities import size
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.state.request import StateRequest

STEP, MIB = 0.002, 1 << 20
GROUPS = Path("/sys/fs/cgroup/memory")
CHILD = """
import json, sys, time
from functools import partial
import autoglmc
from autoglmc.compiler.devices import ort
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.resident import status_bytes

ort.open_session = partial(ort.open_session, threads=1)
tokens, small, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
list(Bundle.load(small).session().generate([1, 2, 3], max_tokens=2))  # the runtime itself
bundle = Bundle.load(folder)
idle = status_bytes()["RssAnon"]
print("loading", idle, flush=True)
sys.stdin.readline()
begun = time.perf_counter()
session = bundle.session()
loaded = time.perf_counter() - begun
print("running", status_bytes()["RssAnon"], flush=True)
sys.stdin.readline()
made, marks = [], [time.perf_counter()]
for token in session.generate(list(range(2, 132)), max_tokens=tokens):
    made.append(token)
    marks.append(time.perf_counter())
steps = sorted(b - a for a, b in zip(marks[2:], marks[3:]))
print("done", json.dumps({"tokens": made, "load": loaded, "first": marks[1] - marks[0], "median": steps[len(steps) // 2]}), flush=True)
sys.stdin.readline()
"""


def compiled(model: Path, place: Path, resident: int | None, length: int) -> Bundle:
    if (place / "manifest.json").exists():
        return Bundle.load(place)
    entries = {"prefill": Asked(shapes={}, tokens=128), "decode": Asked(shapes={}, tokens=1)}
    state = StateRequest((("past*", "present*"),), length)
    return compile_entries(model, "x86_cpu", entries, state=state, output=place, resident=resident, verify=False).bundle


def least(model: Path, place: Path, length: int) -> int:
    try:
        compiled(model, place, 1, length)
    except UsageError as refused:
        return int(refused.help.split()[1])
    return 1


def private(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def ran(folder: Path, small: Path, tokens: int, group: Path | None = None) -> dict[str, Any]:
    """Peaks of private bytes while it is loaded and while it runs, beside what the process had before."""

    def enter() -> None:
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    pinned = ["taskset", "-c", "0", sys.executable, "-c", CHILD, str(tokens), str(small), str(folder)]
    child = subprocess.Popen(pinned, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=enter)
    assert child.stdin is not None and child.stdout is not None
    found: dict[str, Any] = {"idle": int(child.stdout.readline().split()[1])}
    os.set_blocking(child.stdout.fileno(), False)
    for stage in ("load_peak", "run_peak"):
        child.stdin.write("\n")
        child.stdin.flush()
        most, line = 0, ""
        while not line.endswith("\n") and child.poll() is None:
            most = max(most, private(child.pid))
            line += child.stdout.readline()
            time.sleep(STEP)
        found[stage] = most - found["idle"]
    child.communicate("\n")
    return found | (json.loads(line.removeprefix("done ")) if line.startswith("done") else {"tokens": None, "ended": child.returncode})


def forget(folder: Path) -> None:
    """Pages of the bundle's files leave the cache, so that who reads them next has them on its account."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def grouped(bundle: Bundle, small: Path, tokens: int, idle: int) -> tuple[int, dict[str, Any]] | None:
    """In a control group of the predicted peak and the runtime, and 10 % more; None where none can be made."""
    peak = peaks_of(bundle.manifest)[""]
    allowed = int(1.1 * (idle + max(peak.loading, peak.running)))
    group = GROUPS / f"autoglmc-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(allowed))
    except OSError:
        return None
    try:
        forget(bundle.folder)
        return allowed, ran(bundle.folder, small, tokens, group)
    finally:
        group.rmdir()


def other_ways(bundle: Bundle) -> None:
    import numpy as np
    import onnxruntime

    file = bundle.folder / bundle.entry("decode").manifest.segments[0].file
    dtypes = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    hashes = {}
    for way, entries in {"packed": {}, "not packed": {"session.disable_prepacking": "1"}}.items():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        for key, value in entries.items():
            options.add_session_config_entry(key, value)
        begun = time.perf_counter()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        opened = time.perf_counter() - begun
        draw = np.random.default_rng(0)
        feeds = {one.name: draw.integers(0, 8, one.shape).astype(dtypes[one.type]) for one in session.get_inputs()}
        hashes[way] = [array.tobytes() for array in session.run(None, feeds)]
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            session.run(None, feeds)
            times.append(time.perf_counter() - begun)
        print(f"a token, weights {way}: {min(times) * 1e3:.1f} ms; opening the session {opened * 1e3:.0f} ms")
    print(f"outputs of both the same bits: {'yes' if hashes['packed'] == hashes['not packed'] else 'no'}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--resident", action="append", default=[], metavar="MIB", type=float)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    small = Path(__file__).resolve().parent.parent / "tests" / "models" / "decoder_tiny.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        place = given.keep or Path(scratch)
        warm = compiled(small, Path(scratch) / "small", None, 256)
        smallest = least(given.model, place / "refused", given.max_length)
        budgets = [None, *(int(one * MIB) for one in given.resident), int(1.1 * smallest)]
        expected, right, idle = None, True, 0
        for budget in budgets:
            bundle = compiled(given.model, place / f"bundle-{budget}", budget, given.max_length)
            found = ran(bundle.folder, warm.folder, given.tokens)
            expected, idle = expected or found["tokens"], found["idle"]
            told(bundle, budget, found, equal := found["tokens"] == expected)
            right &= equal
        less = int(0.9 * smallest)
        right &= (refused := refuses(bundle, less))
        print(f"the smallest budget that is kept: {smallest:,} B; 10 % less is refused before it is loaded: {'yes' if refused else 'NO'}")
        limited = grouped(bundle, warm.folder, given.tokens, idle)
        if limited is not None:
            told(bundle, budgets[-1], limited[1], equal := limited[1]["tokens"] == expected, f" in a group of {size(limited[0])}")
            right &= equal
        other_ways(compiled(given.model, place / "bundle-None", None, given.max_length))
    return 0 if right else 1


def refuses(bundle: Bundle, budget: int) -> bool:
    try:
        bundle.session(resident=budget)
    except UsageError:
        return True
    return False


def told(bundle: Bundle, budget: int | None, found: dict[str, Any], equal: bool, where: str = "") -> None:
    peak = peaks_of(bundle.manifest).get("")
    package = sum(record.size for record in bundle.manifest.files.values())
    print(f"--resident {'not given' if budget is None else f'{budget / MIB:.1f} MiB'}{where}: package {package / MIB:.0f} MiB")
    for stage, predicted in (("load", peak and peak.loading), ("run", peak and peak.running)):
        print(f"  {stage} peak: {found[f'{stage}_peak'] / MIB:.1f} MiB private", end="")
        print("" if predicted is None else f", predicted {predicted / MIB:.1f} MiB")
    if found["tokens"] is None:
        print(f"  it ended with {found['ended']}")
        return
    times = f"loaded in {found['load']:.2f} s, first token {found['first']:.2f} s, then {found['median'] * 1e3:.1f} ms"
    print(f"  {times}; tokens {'equal' if equal else 'DIFFER'}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
