"""Arenas with and without shared bytes: per model and target, bytes, peak over lower bound, results over inputs, operators left out.

    python benchmarks/arena_aliases.py [--target NAME ...] [NAME ...]

NAME: models of the test suite (tests/models.py); without any, all of them. Plans only: nothing is written or run.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from models import NAMES, SHAPES, model_path

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.plan.arena import plan_arena
from autoglmc.compiler.plan.handoffs import assemble
from autoglmc.compiler.plan.plan_model import PlannedModel, plan_model
from autoglmc.targets.stock import stock_names


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", default=list(NAMES))
    parser.add_argument("--target", action="append")
    options = parser.parse_args(arguments)
    print(f"{'model':<24}{'target':<20}{'segments':>9}{'apart':>12}{'shared':>12}{'/ bound':>9}{'in place':>9}{'left out':>9}")
    for name in options.models:
        for target in options.target or stock_names():
            print(f"{name:<24}{target:<20}{row(name, target)}", flush=True)


def row(name: str, target: str) -> str:
    loaded = load_model(model_path(name), SHAPES[name])
    planned = plan_model(loaded, load_target(target), 1.0, lambda _: nullcontext())
    if not isinstance(planned, PlannedModel):
        return f"   no plan: {str(planned.problem)[:70]}"
    work, arena = planned.work, planned.arena.arena
    apart = plan_arena(assemble(work.graph, work.target, work.segments), in_place=False).arena.total
    over = sum(slot.in_place is not None for slot in arena.slots)
    ratio = arena.total / arena.lower_bound if arena.lower_bound else 1.0
    segments = len(planned.compiled.segments)
    return f"{segments:>9}{apart:>12,}{arena.total:>12,}{ratio:>9.4f}{over:>9}{len(planned.compiled.views):>9}"


if __name__ == "__main__":
    main(sys.argv[1:])
