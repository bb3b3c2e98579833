"""Measures the networks of benchmarks/networks, or the forms of some, for benchmarks/prediction.py; kept in .cache/prediction."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
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
    from networks.fresh import fresh_networks

    return [Subject(network=one.network, case=one.name, path=one.path(), shapes=parse_shapes(one.shapes)) for one in fresh_networks()]


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


def measured(runtime: str, what: str, subjects: Callable[[], list[Subject]], again: bool = False) -> Measurement:
    """What was kept of an earlier run, or measured now: on a machine that does nothing else."""
    path = KEPT / f"{runtime}.{what}.json"
    if not path.exists() or again:
        target = load_target(TARGETS[runtime])
        begun, environment = time.perf_counter(), {"threads": "1", "date": time.strftime("%Y-%m-%d")}

        def tell(text: str) -> None:
            print(f"{time.perf_counter() - begun:6.0f} s  {text[:100]}", file=sys.stderr)

        here = measure_here(
            target, target.device("cpu"), subjects(), environment, tell, kernels=what not in ("forms", "fresh"), models=BUDGET
        )
        _keep(path, here)
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


def _keep(path: Path, here: MeasuredHere) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".refused").write_text(json.dumps([asdict(one) for one in here.refused], indent=1))
    part = path.with_suffix(".part")
    part.write_bytes(raw_bytes(here.measurement))
    part.replace(path)
