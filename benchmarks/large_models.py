"""Compile time of large graphs in one process, next to onnxsim's on the same model: processor time of all threads, pair by pair.

    python benchmarks/large_models.py [--nodes 10000] [--pairs 3] [--target x86_cpu] [--seed 0] [chain residual fan_out …]

Every pair is one `compile_model(…, verify=False)`, from file to bundle on disk, and one `onnxsim.simplify` with its check off, from file
to file; which goes first alternates. The models are made by tests/large_graphs.py; their seeds are printed. Exit code 1 where the median
of the ratios is above LIMIT.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnx
from fetch_models import ROOT

sys.path.append(str(ROOT / "tests"))

from large_graphs import chain, fan_out, residual

from autoglmc.compiler.driver.compile_model import compile_model

LIMIT = 5.0
MODELS = {build.__name__: build for build in (chain, residual, fan_out)}


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def simplified(source: Path, result: Path) -> None:
    from onnxsim import simplify

    model, _ = simplify(onnx.load(source), check_n=0)
    onnx.save(model, result)


def pairs(path: Path, target: str, count: int, folder: Path) -> list[tuple[float, float]]:
    """(ours, onnxsim's) seconds of each pair."""
    found = []
    for number in range(count):
        times = {}
        for side in ("ours", "onnxsim") if number % 2 else ("onnxsim", "ours"):
            if side == "ours":
                times[side] = seconds(lambda: compile_model(path, target, output=folder / "bundle", verify=False))
            else:
                times[side] = seconds(lambda: simplified(path, folder / "simplified.onnx"))
        found.append((times["ours"], times["onnxsim"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--target", default="x86_cpu")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    slow = []
    print(f"{'model':12}{'nodes':>8}{'seed':>6}{'ours, s':>10}{'onnxsim, s':>12}{'median ratio':>14}  ratios")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "model.onnx"
        for kind in options.models or MODELS:
            onnx.save(MODELS[kind](100, options.seed), path)
            pairs(path, options.target, 1, folder)  # what is imported and cached on first use
            model = MODELS[kind](options.nodes, options.seed)
            onnx.save(model, path)
            found = pairs(path, options.target, options.pairs, folder)
            ratios = [ours / theirs for ours, theirs in found]
            ratio, best = statistics.median(ratios), [min(side) for side in zip(*found, strict=True)]
            shown = " ".join(f"{one:.2f}" for one in ratios)
            print(
                f"{kind:12}{len(model.graph.node):>8}{options.seed:>6}{best[0]:>10.2f}{best[1]:>12.2f}{ratio:>14.2f}  {shown}", flush=True
            )
            slow += [kind] if ratio > LIMIT else []
    if slow:
        raise SystemExit(f"more than {LIMIT:g} times onnxsim: {', '.join(slow)}")


if __name__ == "__main__":
    main()
