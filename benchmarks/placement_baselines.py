"""Predicted time of our plan next to those of other compilers' divisions of the same model, all priced by the same model of the target.

    python benchmarks/placement_baselines.py [--target a16 …] [--effort 1] [--markdown] [MODEL.onnx or folder …]

Default: all models of tests/models, .cache/models (as far as they were fetched) and ../shared/models, for all stock targets. The others'
algorithms are in baseline_plans.py. Each gets the best of all orders of the accelerators, our units (fused operators, substitutions)
and our cut into the fewest segments. Exit code 1 where a plan of theirs is cheaper than ours.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import permutations
from pathlib import Path

from baseline_plans import Division, all_on_host, onnxruntime, openvino, tvm
from fetch_models import CACHE, ROOT

sys.path.append(str(ROOT / "tests"))

from models import SHAPES

from autoglmc.compiler.errors import UserError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.pipeline.run_passes import run_passes
from autoglmc.compiler.plan.plan_model import start
from autoglmc.passes.place.placed import Placement, Question
from autoglmc.passes.solve.limits.limit_rows import without
from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Problem
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_names

MULTIPLY = {"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN", "Attention", "Einsum", "ConvInteger", "MatMulInteger"}
MOVE = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Transpose", "Cast", "Slice", "Split", "Concat", "Gather", "Expand"}
MORE_SHAPES: Mapping[str, Mapping[str, int | tuple[int, ...]]] = {
    "glm4v_decoder_kv": {"seq": 1, "past": 31, "total": 32},
    "glm4v_embed": {"seq": 32},
    "glm4v_vision": {},
    "glm_tiny_kv": {"batch": 1, "seq": 1, "past": 31, "total": 32},
    "half_mlp_gelu": {},
}
DEFAULT = (ROOT / "tests" / "models", CACHE, ROOT.parent / "shared" / "models")
SEVERAL = {"onnxruntime": onnxruntime, "OpenVINO": openvino, "TVM": tvm}
BASELINES = ("all CPU", *SEVERAL)
SAME = 1e-9
"""Relative: sums of the same times in another order."""


def models_in(places: Sequence[Path]) -> list[Path]:
    """Model files and those in folders; of equal bytes one, of the first place."""
    files = [path for place in places for path in (sorted(place.glob("*.onnx")) if place.is_dir() else [place])]
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in files[::-1]}
    return sorted(found.values(), key=lambda path: path.stem)


def placed(path: Path, target: Target, effort: float = 1.0) -> Placement:
    """Our placement. Raises UserError where there is none."""
    shapes = {**SHAPES, **MORE_SHAPES}.get(path.stem, {})
    work = start(load_model(path, shapes), target, effort)
    run_passes(work, lambda name: nullcontext(), until="place-operators")
    assert work.placement is not None
    return work.placement


def division_of(question: Question) -> Division:
    """The problem as other tools see it: what each device supports, and what reads what."""
    problem = question.problem
    kinds = [{question.nodes[node].operator for node in members} for members in question.units]
    before: list[set[int]] = [set() for _ in problem.units]
    for net in problem.nets:
        for consumer in net.consumers:
            before[consumer] |= {net.producer} - {-1}
    room = [min((room.bytes for room in problem.rooms if d in room.devices), default=None) for d in range(len(problem.devices))]
    return Division(
        devices=len(problem.devices),
        host=problem.host,
        supports=tuple(frozenset(unit.devices) for unit in problem.units),
        before=tuple(map(frozenset, before)),
        multiplies=tuple(any(kind in MULTIPLY for kind in each) for each in kinds),
        moves=tuple(each <= MOVE for each in kinds),
        weights=tuple(unit.weight_bytes for unit in problem.units),
        room=tuple(room),
    )


def kept_limits(placement: Placement) -> Problem:
    """The problem that our plan solves: without the limits that no plan keeps together."""
    problem = placement.question.problem
    return problem if placement.conflict is None else without(problem, placement.conflict.limits)


def plans(placement: Placement) -> dict[str, tuple[float, tuple[int, ...]]]:
    """Per baseline its cheapest assignment, over all orders of the accelerators, and the seconds it is predicted to take; without those
    that break a limit of the target in every order."""
    problem, division, found = kept_limits(placement), division_of(placement.question), dict[str, tuple[float, tuple[int, ...]]]()
    orders = list(permutations(division.accelerators))
    for name in BASELINES:
        assignments = [all_on_host(division)] if name == "all CPU" else [SEVERAL[name](division, order) for order in orders]
        priced = [(cost.total, tuple(each)) for each in assignments if (cost := price(problem, each)) is not None]
        if priced:
            found[name] = min(priced)
    return found


def rows(models: Iterable[Path], targets: Sequence[str], effort: float) -> Iterable[tuple[str, str, float, dict[str, float]] | str]:
    """(model, target, our seconds, seconds per baseline), or why there is no plan."""
    for path in models:
        for target in targets:
            try:
                placement = placed(path, load_target(target), effort)
            except UserError as problem:
                yield f"{path.stem} for {target}: not compiled: {str(problem).splitlines()[0]}"
                continue
            others = {name: seconds for name, (seconds, _) in plans(placement).items()}
            yield path.stem, target, placement.solution.price.total, others


def cell(ours: float, others: Mapping[str, float], name: str) -> str:
    if name not in others:
        return "over a limit"
    return f"{others[name] * 1e3:.4g} ({others[name] / ours:.2f})" if ours else f"{others[name] * 1e3:.4g}"


def line(cells: Sequence[str], markdown: bool) -> str:
    return f"| {' | '.join(cells)} |" if markdown else "".join(f"{each:>24}" for each in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.onnx or folder")
    parser.add_argument("--target", action="append", help="a stock target or a .hw file (default: all stock targets)")
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--markdown", action="store_true", help="the table of docs/placement.md")
    options = parser.parse_args()
    worse, ratios = [], {name: list[float]() for name in BASELINES}
    print(line(("model", "target", "ours, ms", *BASELINES), options.markdown))
    if options.markdown:
        print("|---" * (3 + len(BASELINES)) + "|")
    for row in rows(models_in(options.models or DEFAULT), options.target or list(stock_names()), options.effort):
        if isinstance(row, str):
            print(row, file=sys.stderr, flush=True)
            continue
        model, target, ours, others = row
        print(line((model, target, f"{ours * 1e3:.4g}", *(cell(ours, others, name) for name in BASELINES)), options.markdown), flush=True)
        for name, seconds in others.items():
            ratios[name].append(seconds / ours if ours else 1.0)
            worse += [f"{model} for {target}: {name}"] if ours > seconds * (1 + SAME) else []
    means = [f"{math.exp(sum(map(math.log, each)) / len(each)):.2f}" if each else "-" for each in ratios.values()]
    print(line(("geometric mean", "", "", *means), options.markdown))
    if worse:
        raise SystemExit(f"worse than a baseline: {'; '.join(worse)}")


if __name__ == "__main__":
    main()
