"""How fast and how large the results are: the original, what each peer makes of it, and ours for x86_cpu, in onnxruntime.

    python benchmarks/result_speed.py [--seconds 6] [--dynamic] [--only TOOL …] [MODEL …]

Every variant of a model has the same bound shapes and gets the same inputs. All run in this one process, on one thread, alternating
in an order that rotates, each session with every optimisation of onnxruntime at load. A run's time is what its thread spent on the
processor; of each variant's runs the tenth part that is fastest is left behind: what else the machine does makes runs slower, and a
processor's clock now and then reads too little. Sessions are opened anew OPENINGS times and the best one counts: where a session's
memory happens to lie is worth a few percent. With --dynamic the original and the peers keep the file's symbolic dims and get inputs
of the same sizes; a bundle's dims are always bound, so ours is the same as without, and no demand is made.

A ratio is the original's time through the variant's: above 1 is faster. The share of the best peer is the median of paired ratios: its
time through ours, run for run of one round; in brackets the interval that holds 95 % of the medians of resampled pairs. It must be at least
0.98 on every model, its interval not wholly below, and ours 1.10 of the original in the geometric mean; otherwise the exit code is 1.

Besides the public models there are five that this benchmark makes (made_models.py, seed SEED, printed): MODEL may be one of them. One
model after another, as on a shared machine:

    for m in $(python benchmarks/result_speed.py --list); do python benchmarks/result_speed.py --seconds 2 $m; done
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from fetch_models import NAMES, ROOT, fetch
from made_models import inception_v1, mish_segmenter, nhwc_resnet, shared_encoder, yolo_like
from peers import PEERS

sys.path.append(str(ROOT / "tests"))

from models import SHAPES

from autoglmc.compiler.driver.compile_model import compile_model, stop_after
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.load.bind_shapes import bind_shapes

ORIGINAL, OURS = "original", "ours"
LEAST_OF_BEST, LEAST_MEAN = 0.98, 1.10
SEED, RESAMPLED = 0, 2000
MADE = {make.__name__: make for make in (nhwc_resnet, yolo_like, shared_encoder, inception_v1, mish_segmenter)}
TIMEOUT = 300
OPENINGS = 3
STANDARD = ("LayerNormalization", "RMSNormalization", "Gelu", "Swish", "HardSwish")
EXPECTED: Mapping[str, Mapping[str, int]] = {
    "bert_tiny": {"LayerNormalization": 7, "Gelu": 3},
    "glm_tiny": {"RMSNormalization": 7, "Swish": 3},
    "lightnet": {"LayerNormalization": 1, "Gelu": 4, "HardSwish": 1},
    "magika_v3_3": {"LayerNormalization": 2, "Gelu": 2},
    "ppocr2_cls": {"HardSwish": 18},
    "ppocr4_det": {"HardSwish": 24},
    "ppocr4_rec": {"LayerNormalization": 5, "Swish": 7, "HardSwish": 28},
}
"""Counted in the original files, not by our rules: the two normalisations by their Sqrt, Gelu by Erf or Tanh, Swish by Sigmoid, HardSwish
by Clip or (lightnet) HardSigmoid."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one model."""

    name: str
    bound: Path
    """The original with its dims bound: the inputs are made for it."""
    files: Mapping[str, Path]
    failures: dict[str, str]
    recovered: Mapping[str, int]
    """Standard operators in our graph before it is fitted to the device."""
    milliseconds: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of every run; equal places of two variants are a pair."""
    differences: dict[str, float] = field(default_factory=dict)
    """Largest difference to the original's output, in units of that output's deviation."""

    def ratio(self, variant: str) -> float | None:
        there = self.milliseconds.get(variant)
        return None if there is None else self.milliseconds[ORIGINAL] / there

    def share(self) -> tuple[float, float, float]:
        """(median, low, high) of the best other's time through ours, pair by pair; zeros without a result of ours."""
        if OURS not in self.rounds:
            return 0.0, 0.0, 0.0
        best = min((v for v in self.rounds if v != OURS), key=lambda v: float(np.median(self.rounds[v])))
        ratios = np.array(self.rounds[best]) / np.array(self.rounds[OURS])
        drawn = np.random.default_rng(SEED).choice(ratios, (RESAMPLED, len(ratios)))
        low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))
        return float(np.median(ratios)), float(low), float(high)


def prepare(name: str, tools: Sequence[str], folder: Path, dynamic: bool = False) -> Result:
    """Writes the variants of a model."""
    shapes = SHAPES.get(name, {})
    model = MADE[name](SEED) if name in MADE else onnx.load(fetch(name))
    bind_shapes(model, shapes)
    bound = folder / f"{name}.onnx"
    onnx.save(model, bound)
    original = Path(fetch(name)) if dynamic else bound
    files, failures = {ORIGINAL: original}, {}
    for tool in tools:
        output = folder / f"{name}.{tool}.onnx"
        problem = _run_peer(tool, original, output)
        if problem:
            failures[tool] = problem
        else:
            files[tool] = output
    source = bound if name in MADE else fetch(name)
    done = compile_model(source, "x86_cpu", shapes=shapes, output=folder / f"{name}.bundle", verify=False)
    segments = done.manifest.segments
    if len(segments) == 1:
        files[OURS] = _whole(done.folder / segments[0].file, source, shapes, folder / f"{name}.ours.onnx")
    else:
        failures[OURS] = f"{len(segments)} segments"
    return Result(name, bound, files, failures, done.work.recovered)


def _whole(segment: Path, source: Path, shapes: Mapping[str, int | tuple[int, ...]], output: Path) -> Path:
    """The segment's file; where a Concat or Split at its border is left to the arena, the same graph with those operators."""
    own, original = (onnx.load(path, load_external_data=False).graph.output for path in (segment, source))
    if [value.name for value in own] == [value.name for value in original]:
        return segment
    return stop_after("tune-segments", source, "x86_cpu", output=output, shapes=shapes).path


def _run_peer(tool: str, source: Path, output: Path) -> str:
    command = [sys.executable, str(Path(__file__).with_name("peers.py")), tool, str(source), str(output)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    except subprocess.TimeoutExpired:
        return f"not done after {TIMEOUT} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines[-1].strip()[:160] if lines else f"exit code {done.returncode}")


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(result: Result, seconds: float) -> None:
    """Times all variants alternately for about so many seconds each."""
    fed = generate_inputs(onnx.load(result.bound), 0)
    for opening in range(OPENINGS):
        sessions = {variant: s for variant, path in result.files.items() if (s := _opened(result, variant, path)) is not None}
        feeds = {variant: {i.name: fed[i.name] for i in s.get_inputs()} for variant, s in sessions.items()}
        if not opening:
            expected = sessions[ORIGINAL].run(None, feeds[ORIGINAL])
            for variant, s in sessions.items():
                result.differences[variant] = _difference(expected, s.run(None, feeds[variant]))
        for variant, times in _alternate(sessions, feeds, seconds / OPENINGS).items():
            found = float(np.quantile(times, 0.1)) * 1e3
            result.milliseconds[variant] = min(found, result.milliseconds.get(variant, found))
            result.rounds.setdefault(variant, []).extend(times)


def _opened(result: Result, variant: str, path: Path) -> Any | None:
    try:
        return session(path)
    except Exception as problem:  # a peer's model may be refused by the runtime
        result.failures[variant] = f"onnxruntime: {str(problem).splitlines()[0][:160]}"
        return None


def _alternate(sessions: Mapping[str, Any], feeds: Mapping[str, Any], seconds: float) -> dict[str, list[float]]:
    """Seconds of each run by variant, as many for each."""
    variants, started, rounds = list(sessions), time.perf_counter(), 0
    times: dict[str, list[float]] = {variant: [] for variant in variants}
    while rounds < 2 * len(variants) or time.perf_counter() - started < seconds * len(variants):
        turn = rounds % len(variants)
        for variant in (*variants[turn:], *variants[:turn]):
            start = time.thread_time()
            sessions[variant].run(None, feeds[variant])
            times[variant].append(time.thread_time() - start)
        rounds += 1
    return times


def _difference(expected: Sequence[Any], found: Sequence[Any]) -> float:
    worst = 0.0
    for a, b in zip(expected, found, strict=True):
        if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.size:
            worst = max(worst, float(np.abs(a - b).max()) / max(float(a.std()), 1e-9))
    return worst


def nodes(path: Path) -> Counter[str]:
    model = onnx.load(path, load_external_data=False)
    return Counter(f"{n.domain}::{n.op_type}" if n.domain not in ("", "ai.onnx") else n.op_type for n in model.graph.node)


def print_speed(results: Sequence[Result], tools: Sequence[str]) -> list[str]:
    """The table of ratios; which demands are not met."""
    columns = "".join(f"{tool:>13}" for tool in (*tools, OURS))
    print(f"\n{'ratio to the original':24}{'ms':>9}{columns}{'/best peer':>12}{'95 %':>15}{'difference':>10}")
    unmet = []
    for result in results:
        share, low, high = result.share()
        row = "".join(f"{'failed' if r is None else f'{r:.3f}':>13}" for r in map(result.ratio, (*tools, OURS)))
        shown = f"{share:12.3f} [{low:.3f}, {high:.3f}]"
        print(f"{result.name:24}{result.milliseconds[ORIGINAL]:9.3f}{row}{shown}{result.differences.get(OURS, 0.0):10.1e}")
        if share < LEAST_OF_BEST or high < LEAST_OF_BEST:
            unmet.append(f"{result.name} {share:.3f} of the best peer")
    means = {tool: _mean([r for r in (result.ratio(tool) for result in results) if r is not None]) for tool in (*tools, OURS)}
    print(f"{'geometric mean':33}" + "".join(f"{means[tool]:13.3f}" for tool in (*tools, OURS)))
    if means[OURS] < LEAST_MEAN:
        unmet.append(f"geometric mean {means[OURS]:.3f} of the original")
    return unmet


def _mean(ratios: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else 0.0


def print_differences(results: Sequence[Result], tools: Sequence[str]) -> None:
    """Peers whose result is not the original's to three digits, and what failed."""
    print("\nfailures, and results further than 1e-3 deviations from the original's")
    for result in results:
        for variant, message in result.failures.items():
            print(f"{result.name:24}{variant:14}{message}")
        for variant in (*tools, OURS):
            if result.differences.get(variant, 0.0) > 1e-3:
                print(f"{result.name:24}{variant:14}differs by {result.differences[variant]:.1e} deviations")


def print_sizes(results: Sequence[Result], tools: Sequence[str]) -> list[str]:
    """Node counts, then standard operators found of those expected; which of ours are missing."""
    print(f"\n{'nodes':24}" + "".join(f"{variant:>13}" for variant in (ORIGINAL, *tools, OURS)))
    for result in results:
        counts = {variant: sum(nodes(path).values()) for variant, path in result.files.items()}
        print(f"{result.name:24}" + "".join(f"{counts.get(variant, '-'):>13}" for variant in (ORIGINAL, *tools, OURS)))
    print(f"\n{'standard operators':24}{'':20}{'expected':>9}" + "".join(f"{v:>13}" for v in (ORIGINAL, *tools, "recovered", OURS)))
    unmet = []
    for result in results:
        found = {variant: nodes(path) for variant, path in result.files.items()}
        for operator, expected in EXPECTED.get(result.name, {}).items():
            counts = {variant: c[operator] for variant, c in found.items()} | {"recovered": result.recovered.get(operator, 0)}
            row = "".join(f"{counts.get(variant, '-'):>13}" for variant in (ORIGINAL, *tools, "recovered", OURS))
            print(f"{result.name:24}{operator:20}{expected:>9}{row}")
            if counts["recovered"] < expected:
                unmet.append(f"{result.name}: {counts['recovered']} of {expected} {operator} recovered")
    return unmet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names known to fetch_models.py (default: all)")
    parser.add_argument("--seconds", type=float, default=6.0, help="time for each variant of each model")
    parser.add_argument("--dynamic", action="store_true", help="leave the dims of the original and of the peers' results symbolic")
    parser.add_argument("--only", action="append", choices=sorted(PEERS), help="compare with these peers only")
    parser.add_argument("--list", action="store_true", help="print the names of all models and end")
    options = parser.parse_args()
    if options.list:
        print(*NAMES, *MADE, sep="\n")
        return
    print(f"models that are made have seed {SEED}")
    tools, results = options.only or list(PEERS), []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models or [*NAMES, *MADE]:
            if options.dynamic and not SHAPES.get(name):
                continue
            result = prepare(name, tools, Path(folder), options.dynamic)
            measure(result, options.seconds)
            results.append(result)
            print(f"{name} measured", file=sys.stderr, flush=True)
        unmet = print_speed(results, tools)
        print_differences(results, tools)
        if options.dynamic:
            return
        unmet += print_sizes(results, tools)
    if unmet:
        raise SystemExit(f"not met: {'; '.join(unmet)}")


if __name__ == "__main__":
    main()
