"""Measures the networks of benchmarks/networks, or the forms of some, for benchmarks/prediction.py; kept in .cache/prediction."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import msgspec

from autoglmc.compiler.calibrate.fit_memory import MeasuredMemory
from autoglmc.compiler.calibrate.measure.measure import Budget, Case, Passes, Refused
from autoglmc.compiler.calibrate.measure.overhead import Overhead, measure_overhead
from autoglmc.compiler.calibrate.measure.source import Source
from autoglmc.compiler.calibrate.measure.time_left import TimeLeft
from autoglmc.compiler.calibrate.measure_here import KERNELS, Subject, compile_subjects, grid_cases, memory_of, source_of
from autoglmc.compiler.calibrate.raw_file import raw_bytes, read_raw
from autoglmc.compiler.calibrate.records import MeasuredSegment, Measurement
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.bind_shapes import parse_shapes

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(os.environ.get("AUTOGLMC_CACHE") or ROOT / ".cache") / "prediction"
TARGETS = {"ort": "x86_cpu", "openvino": str(ROOT / "benchmarks" / "openvino_cpu.hw"), "litert": str(ROOT / "benchmarks" / "litert_cpu.hw")}
LARGEST = 100e-3
"""Seconds: longer networks are left out, as a benchmark has to end."""
TWICE = ("first", "second")
"""Two calibrations of the networks whose passes alternate: what differs then is not a machine that became slower meanwhile."""
NETWORKS = "networks"
WITH_KERNELS = (NETWORKS, *TWICE)
"""Of what is measured: that to which rates are fitted."""
PASSES = 5
"""Of which the gate takes three that agree; three are the least."""
BUDGET = Budget(latency=0.12, profile=0.25)


def networks_of(names: Sequence[str] = (), every: int = 1) -> list[Subject]:
    """All networks of the benchmark (of `every` so many one), or those named; the two that take seconds a run are left out."""
    from networks.index import networks

    found = [one for one in networks() if (not names and not one.name.endswith("_384")) or one.name in names]
    kept = set(list(dict.fromkeys(one.network for one in found))[::every])
    taken = [one for one in found if one.network in kept]
    return [Subject(network=one.network, case=one.name, path=one.path(), shapes=parse_shapes(one.shapes)) for one in taken]


def name_of(every: int) -> str:
    """What measurements of one network of so many are kept as."""
    return NETWORKS if every == 1 else f"{NETWORKS}-{every}"


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
    runtime: str, what: str, subjects: Callable[[], list[Subject]], again: bool = False, minutes: float | None = None, passes: int = PASSES
) -> Measurement:
    """What was kept of an earlier run, or measured now: see `in_turn`."""
    return in_turn(runtime, (what,), subjects, again, minutes, passes)[0]


def in_turn(
    runtime: str,
    names: Sequence[str],
    subjects: Callable[[], list[Subject]],
    again: bool = False,
    minutes: float | None = None,
    wanted: int = PASSES,
) -> list[Measurement]:
    """What was kept of an earlier run under each of the names, or measured now, on a machine that does nothing else. Every pass goes over
    all models, so that a machine that is slow for some minutes is slow for none in all passes; with several names a pass of each in turn.
    With `minutes`, raises SystemExit where they were too short for all passes, and goes on with those left when called again."""
    files = {what: KEPT / f"{runtime}.{what}.json" for what in names}
    if not again and all(path.exists() for path in files.values()):
        return [read_raw(path) for path in files.values()]
    cases = prepared(runtime, NETWORKS if set(names) <= set(TWICE) else names[0], subjects)
    running = {what: _begun(runtime, what, cases) for what in names}
    until = None if minutes is None else time.monotonic() + 60.0 * minutes
    source, took = source_of(load_target(TARGETS[runtime]).device("cpu")), 0.0
    while (least := min(running.values(), key=lambda passes: passes.done)).done < wanted:
        if until is not None and took and time.monotonic() + took > until:
            raise SystemExit(f"{least.done} of {wanted} passes are done: run it again to go on")
        what, begun = next(what for what, passes in running.items() if passes is least), time.monotonic()
        least.run(source)
        took = time.monotonic() - begun
        print(f"{what}, pass {least.done} of {wanted}: {took:.0f} s", file=sys.stderr)
        _write(_passes(runtime, what), pickle.dumps(least))
    for what, passes in running.items():
        segments, refused = passes.settled()
        _keep(files[what], source.runtime, segments, [*cases.failed, *refused])
        _passes(runtime, what).replace(KEPT / f"{runtime}.{what}.done")
    return [read_raw(path) for path in files.values()]


def _has_kernels(what: str) -> bool:
    return what.partition("-")[0] in WITH_KERNELS


def _passes(runtime: str, what: str) -> Path:
    return KEPT / f"{runtime}.{what}.passes"


def _begun(runtime: str, what: str, cases: Prepared) -> Running:
    """Passes of an earlier run that was not long enough, or none yet."""
    kept = _passes(runtime, what)
    if kept.exists():
        found: Running = pickle.loads(kept.read_bytes())
        return found
    return begun_passes(runtime, cases, _has_kernels(what))


@dataclass(frozen=True)
class Prepared:
    """Bundles that are compiled, and the kernels of the grid, in a folder that stays."""

    kernels: tuple[Case, ...]
    models: tuple[Case, ...]
    failed: tuple[Refused, ...]
    code: str
    """By what they were compiled."""


def code() -> str:
    """A digest of all that decides what a bundle is."""
    digest = hashlib.sha256()
    for folder in ("compiler", "grammar", "passes", "targets"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".hw", ".lark", ".json"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def prepared(runtime: str, what: str, subjects: Callable[[], list[Subject]]) -> Prepared:
    """Compiled once for this state of the code, which needs no quiet machine."""
    folder = KEPT / f"{runtime}.{what}.bundles"
    index = folder / "index"
    if index.exists():
        found: Prepared = pickle.loads(index.read_bytes())
        if found.code != code():
            print(f"the bundles of {what} were compiled by other code: --compile makes them anew", file=sys.stderr)
        return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = load_target(TARGETS[runtime])
    kernels = grid_cases(folder) if _has_kernels(what) else ()
    models, _, failed = compile_subjects(target, target.device("cpu"), subjects(), folder, _tell, TimeLeft(), with_memory=False)
    found = Prepared(tuple(kernels), tuple(models), tuple(failed), code())
    _write(index, pickle.dumps(found))
    return found


@dataclass
class Running:
    """Passes over kernels and models, as far as they are done."""

    kernels: Passes
    models: Passes
    overhead: Overhead

    @property
    def done(self) -> int:
        return self.models.done

    def run(self, source: Source) -> None:
        """One pass over all."""
        self.kernels.run(source, KERNELS, lambda case: None)
        self.models.run(source, BUDGET, lambda case: None)

    def settled(self) -> tuple[tuple[MeasuredSegment, ...], tuple[Refused, ...]]:
        """What was measured, and the models that were refused."""
        kernels, _ = self.kernels.settled(self.kernels.refined(self.overhead))
        models, refused = self.models.settled(self.models.refined(self.overhead))
        return (*kernels, *models), refused


def begun_passes(runtime: str, cases: Prepared, kernels: bool) -> Running:
    target = load_target(TARGETS[runtime])
    device = target.device("cpu")
    over = [Passes.over(some, target, device) for some in (cases.kernels if kernels else (), cases.models)]
    return Running(over[0], over[1], measure_overhead(source_of(device)))


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


def _tell(text: str) -> None:
    print(text[:100], file=sys.stderr)


def _keep(path: Path, runtime: str, segments: Sequence[MeasuredSegment], refused: Sequence[Refused]) -> None:
    _write(path.with_suffix(".refused"), json.dumps([asdict(one) for one in refused], indent=1).encode())
    environment = {"threads": "1", "date": time.strftime("%Y-%m-%d")}
    found = Measurement(device="cpu", runtime=runtime, environment=environment, segments=tuple(segments))
    _write(path, raw_bytes(found))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
