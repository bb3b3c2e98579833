"""How good are placements within limits that bind, and how long do they take?

    python benchmarks/placement_limits.py [--model bert_tiny …] [--target a16 …] [--scaling | --models]

Every model of the test suite and of --folder x every stock target with more than one device: the best plan without limits, and with one
and with two that bind (binding_limits.py): energy, average power, segments, a memory of a device's own, latency for the least energy. Then
made models of 100, 1,000 and 10,000 operators for 2 to 5 devices, where segments and memory are limited. A gap counts against every plan
there is, not only those with as many segments as the proof covers. Exit code 1 where a case of a model of up to 60 units is not proven
(0.1 %) within 10 s of processor time, or where of larger and of made ones the median gap is above 2 %, the worst above 5 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx
from binding_limits import Case, cases, solved, with_devices
from fetch_models import ROOT
from node_scaling import convolutional
from rewrite_scaling import transformer

sys.path.append(str(ROOT / "tests"))

from models import SHAPES, model_path

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.pipeline.run_passes import run_passes
from autoglmc.compiler.plan.plan_model import start
from autoglmc.passes.place.limit_terms import energy_weights
from autoglmc.passes.solve.problem import Problem, Weights
from autoglmc.passes.solve.relaxed_model import relaxed_search

TARGETS = ("a16", "ethos_u55_256", "ethos_u85_512", "snapdragon_8gen2", "snapdragon_8gen3", "tensor_g2", "workstation", "x86_cpu")
SMALL, PROVEN, MOST_SECONDS = 60, 1e-3, 10.0
MEDIAN, WORST = 0.02, 0.05
MADE = {"transformer": partial(transformer, width=512), "convolutional": partial(convolutional, channels=64, side=32)}
OPERATORS, DEVICES = (100, 1_000, 10_000), (2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Row:
    model: str
    target: str
    units: int
    case: Case
    gap: float | None
    """None where there is no plan."""
    seconds: float
    segments: int


def problem_of(path: Path, target: str) -> tuple[Problem, Weights | None]:
    """The placement problem of a model, and the watts of the target's devices if it states them."""
    loaded = load_target(target)
    work = start(load_model(path, SHAPES.get(path.stem, {})), loaded, 1.0)
    run_passes(work, lambda stage: nullcontext(), (), "ask-devices")
    assert work.question is not None
    watts = energy_weights(loaded)
    return work.question.problem.without_limits(), watts if all(watts.busy) else None


def measured(model: str, target: str, problem: Problem, watts: Weights | None) -> Iterator[Row]:
    for case in cases(problem, watts):
        started = time.process_time()
        found = solved(case.problem)
        seconds = time.process_time() - started
        gap = None
        if found is not None:
            gap = 0.0 if found.proven and found.visits is None else max(0.0, 1 - found.lower_bound / found.price.cost)
        row = Row(model, target, len(problem.units), case, gap, seconds, len(found.price.pieces) if found else 0)
        told = f"{gap:8.2%}" if gap is not None else " no plan" if relaxed_search(case.problem, 1.0).infeasible else "    none"
        print(f"{model:24}{target:18}{row.units:>4} {case.name:44}{told}{seconds:>8.2f} s{row.segments:>4}", flush=True)
        yield row


def models(names: Sequence[str], folder: Path) -> list[Path]:
    found = {path.stem: path for path in sorted(folder.glob("*.onnx"))} | {name: model_path(name) for name in SHAPES}
    return [path for name, path in found.items() if not names or name in names]


def suite(paths: Sequence[Path], targets: Sequence[str]) -> list[Row]:
    rows = []
    for path in paths:
        for target in targets:
            problem, watts = problem_of(path, target)
            if len({d for unit in problem.units for d in unit.devices}) > 1:
                rows += measured(path.stem, target, problem, watts)
    return rows


def scaling(targets: Sequence[str]) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for graph, build in MADE.items():
            for size in OPERATORS:
                path = Path(name) / f"{graph}_{size}.onnx"
                onnx.save(build(size), path)
                for target in targets:
                    problem, _ = problem_of(path, target)
                    for count in DEVICES:
                        rows += measured(path.stem, f"{target} x{count}", with_devices(problem, count), None)
    return rows


def broken(rows: Sequence[Row], proofs: bool) -> list[str]:
    """Bounds that are not kept; prints what was measured. `proofs`: whether small problems must be proven."""
    found = []
    for title, chosen in (("up to 60 units", [r for r in rows if r.units <= SMALL]), ("beyond", [r for r in rows if r.units > SMALL])):
        for limits in range(3):
            some = [row for row in chosen if row.case.limits == limits]
            gaps = [row.gap for row in some if row.gap is not None]
            if not gaps:
                continue
            late = [row for row in some if row.seconds > MOST_SECONDS]
            median, worst, proven = statistics.median(gaps), max(gaps), sum(gap <= PROVEN for gap in gaps)
            seconds = [row.seconds for row in some]
            print(
                f"{title}, {limits} limits: {len(gaps)} plans, {len(some) - len(gaps)} without; proven {proven}; gap median {median:.2%}, "
                f"worst {worst:.2%}; seconds median {statistics.median(seconds):.2f}, most {max(seconds):.2f}"
            )
            if proofs and chosen[0].units <= SMALL:
                found += [f"{row.model} on {row.target}, {row.case.name}" for row in some if (row.gap or 0) > PROVEN or row in late]
            else:
                found += [f"{title}, {limits} limits: gap"] if median > MEDIAN or worst > WORST else []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], help="default: all")
    parser.add_argument("--target", action="append", help="default: all stock targets; for made models workstation")
    parser.add_argument("--folder", type=Path, default=ROOT / "tests" / "models", help="further models")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--scaling", action="store_true", help="the made models only")
    part.add_argument("--models", action="store_true", help="the models only")
    options = parser.parse_args()
    failed = []
    if not options.scaling:
        failed += broken(suite(models(options.model, options.folder), options.target or TARGETS), True)
    if not options.models:
        failed += broken(scaling(options.target or ("workstation",)), False)
    if failed:
        raise SystemExit("not kept: " + "; ".join(failed))


if __name__ == "__main__":
    main()
