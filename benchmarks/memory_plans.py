"""Memory plans against plain greedy-by-size: arena bytes over the lower bound, and the time each takes.

    python benchmarks/memory_plans.py FOLDER [--effort N]

FOLDER holds `id,lower,upper,size` files (minimalloc's format: live on [lower, upper), upper exclusive).
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from autoglmc.compiler.arena.pack import Plan, lower_bound, overlapping, plan
from autoglmc.compiler.arena.validate import violations


@dataclass(frozen=True)
class Buffer:
    name: str
    bytes: int
    lifetime: tuple[int, int]
    align: int = 1
    offset: int = 0


def read(path: Path) -> list[Buffer]:
    with path.open(newline="") as lines:
        return [Buffer(row["id"], int(row["size"]), (int(row["lower"]), int(row["upper"]) - 1)) for row in csv.DictReader(lines)]


def greedy_by_size(buffers: list[Buffer]) -> Plan:
    """The usual rule: largest first, each at the lowest free offset. Written out here so that it does not follow our changes."""
    near = overlapping(buffers)
    offsets: dict[int, int] = {}
    for i in sorted(range(len(buffers)), key=lambda i: -buffers[i].bytes):
        cursor = 0
        for start, end in sorted((offsets[j], offsets[j] + buffers[j].bytes) for j in near[i] if j in offsets):
            if start - cursor >= buffers[i].bytes:
                break
            cursor = max(cursor, end)
        offsets[i] = cursor
    total = max(o + buffers[i].bytes for i, o in offsets.items())
    return Plan({buffers[i].name: o for i, o in offsets.items()}, total, lower_bound(buffers), 4096)


def timed(planner: Callable[[list[Buffer]], Plan], buffers: list[Buffer]) -> tuple[Plan, float]:
    start = time.perf_counter()
    result = planner(buffers)
    seconds = time.perf_counter() - start
    broken = violations([replace(b, offset=result.offsets[b.name]) for b in buffers], result.total)
    if broken:
        raise SystemExit(f"invalid plan: {broken[0]}")
    return result, seconds


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", type=int, default=1)
    options = parser.parse_args(arguments)
    print(f"{'instance':<16}{'buffers':>8}{'by size':>10}{'ms':>7}{'ours':>9}{'ms':>8}{'ours/by size':>14}")
    for path in sorted(options.folder.glob("*.csv")):
        buffers = read(path)
        simple, simple_s = timed(greedy_by_size, buffers)
        ours, ours_s = timed(lambda b: plan(b, effort=options.effort), buffers)
        low = ours.lower_bound
        print(
            f"{path.name.removesuffix('.csv'):<16}{len(buffers):>8}{simple.total / low:>10.3f}{simple_s * 1e3:>7.1f}"
            f"{ours.total / low:>9.3f}{ours_s * 1e3:>8.1f}{ours.total / simple.total:>14.3f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
