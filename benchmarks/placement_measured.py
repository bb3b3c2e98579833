"""Our plan next to the plans of other compilers, really run: OpenVINO and onnxruntime in one process, on one arena.

    python benchmarks/placement_measured.py [--rounds 60] [--target two_runtimes …] [MODEL …]

Needs the extra `openvino` (`make test-devices` makes an environment). Every plan of placement_baselines.py, and everything that OpenVINO
can take, is compiled as a bundle of its own by forcing the placement; sessions run in turn on the same inputs, in an order that rotates,
and of every round the ratio to our plan counts: shown are predicted ratio, median of measured ratios and the half of them around it.
Below 1 is faster than ours. Emulated Hexagon is left out: its time is no device's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fetch_models import ROOT, fetch
from placement_baselines import kept_limits, placed, plans

sys.path.append(str(ROOT / "tests"))

from models import SHAPES

from autoglmc.compiler.driver.attempt import Attempt
from autoglmc.compiler.driver.constraints import Constraints
from autoglmc.compiler.driver.job import Job
from autoglmc.compiler.driver.search_budget import Meter, SearchBudget
from autoglmc.compiler.driver.state import State
from autoglmc.compiler.driver.verdict import Accepted
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.reference.recall import Recalling
from autoglmc.compiler.reference.store import default_store
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.session import Session
from autoglmc.compiler.verify.reference import read_graph
from autoglmc.passes.place.placed import Placement
from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.solve import Solution
from autoglmc.targets.model import Target

TARGETS = ("two_runtimes", "two_runtimes_apart")
NAMES = ("bert_tiny", "lightnet", "magika_v3_3", "onnx_seeded_shufflenet", "ppocr2_cls", "ppocr4_rec")
OURS = "ours"


def bundle(path: Path, target: Target, plan: Placement, out: Path) -> Bundle | str:
    """The model compiled with this placement, or why that is refused."""
    job = Job(source_of(path), target, SHAPES[path.stem], None, None)
    with Recalling(job.model, default_store()) as oracle:
        attempt = Attempt(
            job=job,
            out=out,
            effort=1.0,
            verify=False,
            required=None,
            emulate=False,
            oracle=oracle,
            inputs=None,
            expect=None,
            watchers=(),
            own={},
            verifier=None,
            meter=Meter(SearchBudget()),
            tell=lambda message: None,
            signing=None,
        )
        verdict = attempt(State(constraints=Constraints(plan=plan)), ())
    return Bundle.load(out) if isinstance(verdict, Accepted) else f"{verdict.kind}: {verdict.reason}"


def alternatives(best: Placement) -> dict[str, Placement]:
    """Ours first; then the others whose segments are not ours, equal ones once under all their names."""
    problem = kept_limits(best)
    named = {name: assignment for name, (_, assignment) in plans(best).items()}
    for device, name in enumerate(problem.devices):
        if device != problem.host:
            rest = named["all CPU"]
            named[f"all on {name}"] = tuple(device if u.seconds[device] is not None else rest[k] for k, u in enumerate(problem.units))
    by_plan: dict[tuple[int, ...], list[str]] = {}
    for name, assignment in {OURS: best.solution.assignment, **named}.items():
        by_plan.setdefault(tuple(assignment), []).append(name)
    found = {}
    for assignment, names in by_plan.items():
        cost = price(problem, assignment)
        if cost is not None:
            found[" = ".join(names)] = replace(best, solution=Solution(assignment, cost, best.solution.lower_bound, False))
    return found


def in_turn(sessions: Mapping[str, Session], inputs: Mapping[str, Any], rounds: int) -> list[dict[str, float]]:
    """Seconds of each session, round by round."""
    names, found = list(sessions), []
    for number in range(rounds + 3):
        turn = number % len(names)
        times = {}
        for name in (*names[turn:], *names[:turn]):
            sessions[name].run(inputs)  # its caches and threads are warm, those of the one before it are at rest
            started = time.perf_counter()
            sessions[name].run(inputs)
            times[name] = time.perf_counter() - started
        found.append(times)
    return found[3:]


def measure(name: str, target: Target, rounds: int, folder: Path) -> None:
    path, best = fetch(name), placed(fetch(name), target)
    sessions, predicted = dict[str, Session](), dict[str, float]()
    for number, (label, plan) in enumerate(alternatives(best).items()):
        made = bundle(path, target, plan, folder / f"{name}.{target.name}.{number}")
        if isinstance(made, str):
            print(f"{name:24}{target.name:20}{label:40} {made}", flush=True)
            continue
        sessions[label], predicted[label] = made.session(), plan.solution.price.total
    ours = next(iter(sessions))
    shapes = {value.name: value.shape for value in sessions[ours].manifest.model.inputs if value.shape is not None}
    made_inputs = generate_inputs(read_graph(path), 0, shapes)
    inputs = {value.name: made_inputs[value.name] for value in sessions[ours].manifest.model.inputs}
    found = in_turn(sessions, inputs, rounds)
    for label, session in sessions.items():
        ratios = sorted(times[label] / times[ours] for times in found)
        quarters = statistics.quantiles(ratios, n=4)
        print(
            f"{name:24}{target.name:20}{label:40}{len(session.manifest.segments):9}{predicted[label] * 1e3:12.4f}"
            f"{predicted[label] / predicted[ours]:10.2f}{statistics.median(t[label] for t in found) * 1e3:12.4f}"
            f"{statistics.median(ratios):10.2f}  {quarters[0]:.2f} to {quarters[2]:.2f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"names known to fetch_models.py (default: {', '.join(NAMES)})")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--target", action="append", choices=TARGETS, help="default: both")
    options = parser.parse_args()
    targets: Sequence[str] = options.target or TARGETS
    titles = ("segments", "predicted ms", "ratio", "measured ms", "ratio")
    print(f"{'model':24}{'target':20}{'plan':40}{titles[0]:>9}{titles[1]:>12}{titles[2]:>10}{titles[3]:>12}{titles[4]:>10}  half of ratios")
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            for name in options.models or NAMES:
                measure(name, load_target(Path(__file__).with_name(f"{target}.hw")), options.rounds, Path(folder))


if __name__ == "__main__":
    main()
