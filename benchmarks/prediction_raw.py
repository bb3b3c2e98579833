"""Measures the networks of benchmarks/networks, or the forms of some, for benchmarks/prediction.py; kept in .cache/prediction."""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import msgspec

from autoglmc.compiler.calibrate.fit_memory import MeasuredMemory
from autoglmc.compiler.calibrate.measure.measure import Budget
from autoglmc.compiler.calibrate.measure_here import MeasuredHere, Subject, measure_here, memory_of
from autoglmc.compiler.calibrate.raw_file import raw_bytes, read_raw
from autoglmc.compiler.calibrate.records import Measurement
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.bind_shapes import parse_shapes

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(os.environ.get("AUTOGLMC_CACHE") or ROOT / ".cache") / "prediction"
TARGETS = {"ort": "x86_cpu", "openvino": str(ROOT / "benchmarks" / "openvino_cpu.hw")}
LARGEST = 100e-3
"""Seconds: longer networks are left out, as a benchmark has to end."""
WITH_KERNELS = ("networks", "second")
"""Of what is measured: that to which rates are fitted."""
TOGETHER = 12
"""Models whose passes are interleaved where a measurement is made in parts."""
BUDGET = Budget(latency=0.12, profile=0.25)


def networks_of(names: Sequence[str] = ()) -> list[Subject]:
    """All networks of the benchmark, or those named; the two that take seconds a run are left out."""
    from networks.index import networks

    return [
        Subject(network=one.network, case=one.name, path=one.path(), shapes=parse_shapes(one.shapes))
        for one in networks()
        if (not names and not one.name.endswith("_384")) or one.name in names
    ]


def fresh_of() -> list[Subject]:
    """The networks that nobody looked at; a fit never sees them."""
    from networks.unseen import unseen_networks

    return [Subject(network=one.network, case=one.name, path=one.path(), shapes=parse_shapes(one.shapes)) for one in unseen_networks()]


def forms_of(names: Sequence[str]) -> list[Subject]:
    """fp32, fp16, int8 and int4 of networks; a case is "llama_48 int8"."""
    from networks.forms import forms
    from networks.index import networks

    found = []
    for one in (network for network in networks() if network.name in names):
        for kind, form in forms(one).items():
            shapes = parse_shapes(form.shapes)
            found.append(Subject(network=f"{one.name} forms", case=f"{one.name} {kind}", path=form.path(), shapes=shapes))
    return found


def measured(
    runtime: str, what: str, subjects: Callable[[], list[Subject]], again: bool = False, minutes: float | None = None
) -> Measurement:
    """What was kept of an earlier run, or measured now: on a machine that does nothing else. With `minutes`, `TOGETHER` models at a time,
    of which each part is kept once it is measured; raises SystemExit where time was too short for all, and goes on when called again."""
    path = KEPT / f"{runtime}.{what}.json"
    if path.exists() and not again:
        return read_raw(path)
    every = subjects()
    kernels: list[list[Subject]] = [[]] if what in WITH_KERNELS else []
    parts = [every] if minutes is None else kernels + [every[at : at + TOGETHER] for at in range(0, len(every), TOGETHER)]
    here, until = [], None if minutes is None else time.monotonic() + 60.0 * minutes
    for number, part in enumerate(parts):
        place = path.with_suffix(f".{number}") if minutes is not None else None
        if place is not None and not place.exists() and until is not None and time.monotonic() > until:
            raise SystemExit(f"{sum(map(len, parts[:number]))} of {len(every)} models are measured: run it again to go on")
        if place is None or not place.exists():
            here.append(_measured(runtime, part, kernels=what in WITH_KERNELS and number == 0))
            if place is not None:
                _write(place, pickle.dumps(here[-1]))
        else:
            here.append(pickle.loads(place.read_bytes()))
    _keep(path, here)
    for number in range(len(parts)):
        path.with_suffix(f".{number}").unlink(missing_ok=True)
    return read_raw(path)


def memory_measured(runtime: str, again: bool = False) -> list[MeasuredMemory]:
    """Private memory of every network: kept of an earlier run, or measured now, which needs no quiet machine."""
    path = KEPT / f"{runtime}.memory"
    if path.exists() and not again:
        return msgspec.json.decode(path.read_bytes(), type=list[MeasuredMemory])
    found: list[MeasuredMemory] = []
    target = load_target(TARGETS[runtime])
    for subject in networks_of():
        with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
            result = compile_model(subject.path, target, shapes=subject.shapes, output=Path(folder) / "bundle", verify=False)
            found += memory_of(subject, result, target)
        print(f"{subject.case} {len(found)}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(found))
    return found


def _measured(runtime: str, subjects: Sequence[Subject], kernels: bool) -> MeasuredHere:
    target = load_target(TARGETS[runtime])
    begun, environment = time.perf_counter(), {"threads": "1", "date": time.strftime("%Y-%m-%d")}

    def tell(text: str) -> None:
        print(f"{time.perf_counter() - begun:6.0f} s  {text[:100]}", file=sys.stderr)

    return measure_here(target, target.device("cpu"), subjects, environment, tell, kernels=kernels, models=BUDGET)


def _keep(path: Path, parts: Sequence[MeasuredHere]) -> None:
    refused = [one for part in parts for one in part.refused]
    _write(path.with_suffix(".refused"), json.dumps([asdict(one) for one in refused], indent=1).encode())
    segments = tuple(segment for part in parts for segment in part.measurement.segments)
    _write(path, raw_bytes(replace(parts[0].measurement, segments=segments)))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
