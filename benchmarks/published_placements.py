"""The published placement instances, solved by the functions that place models: latency with overlap, and the pipelined period.

    python benchmarks/published_placements.py FOLDER [--effort N] [--limit SECONDS]

FOLDER holds latency_*.json and throughput_*.json of Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators"
(NeurIPS 2020). `placement_judge.py` evaluates every placement again from the raw file. Exits with 1 where a placement is unsound, what
the solver says is not what the judge finds, a bound is above it, a known value is missed, or an instance takes more CPU time than allowed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import placement_judge as judge
from published_instances import instance

from autoglmc.passes.place.objectives import OVERLAP, THROUGHPUT, solver_for
from autoglmc.passes.solve.solve import DETERMINISTIC_SECONDS

KNOWN = {
    "latency_bert24": 100.4, "latency_bert_l-3": 408.6, "latency_gnmt": 225.7,
    "throughput_bert24": 17.790, "throughput_bert_l-3": 27.919, "throughput_gnmt": 32.911,
}  # fmt: skip
"""Milliseconds to reach. Throughput is the exact optimum, to three decimals."""
HALF_DIGIT = 0.0005
EFFORT = 4.0


def all_on_cpu(raw: Mapping[str, Any]) -> dict[int, str]:
    return {node["id"]: "cpu0" for node in raw["nodes"]}


def filled_in_order(raw: Mapping[str, Any], share: float) -> dict[int, str]:
    """Greedy: nodes in topological order, one accelerator after the other; the next begins where memory, or `share` of all time, is full.
    What is left is on the CPU."""
    nodes, order = {node["id"]: node for node in raw["nodes"]}, _topological(raw)
    full = share * sum(node["fpgaLatency"] for node in raw["nodes"])
    where: dict[int, str] = {}
    device, bytes_, busy = 0, 0.0, 0.0
    for node in map(nodes.__getitem__, order):
        if bytes_ + node["size"] > raw["maxSizePerFPGA"] or busy + node["fpgaLatency"] > full * (1 + 1e-9):
            device, bytes_, busy = device + 1, 0.0, 0.0
        where[node["id"]] = f"fpga{device}" if node["supportedOnFpga"] and device < raw["maxFPGAs"] else "cpu0"
        bytes_, busy = bytes_ + node["size"], busy + node["fpgaLatency"]
    return where


def _topological(raw: Mapping[str, Any]) -> list[int]:
    waiting = {node["id"]: 0 for node in raw["nodes"]}
    for edge in raw["edges"]:
        waiting[edge["destId"]] += 1
    ready = [node for node, count in waiting.items() if not count]
    for node in ready:
        for edge in raw["edges"]:
            if edge["sourceId"] == node:
                waiting[edge["destId"]] -= 1
                if not waiting[edge["destId"]]:
                    ready.append(edge["destId"])
    return ready


def judged(raw: Mapping[str, Any], where: Mapping[int, str], latency: bool) -> float | None:
    try:
        return judge.latency(raw, where) if latency else judge.period(raw, where)
    except judge.Unsound:
        return None


def solved(path: Path, effort: float, limit: float) -> list[str]:
    """Prints a row; what does not hold."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    latency = path.name.startswith("latency")
    start = time.process_time()
    case = instance(raw, 1 if latency else int(raw["maxCPUs"]), parallel=latency)
    solution = solver_for(OVERLAP if latency else THROUGHPUT)(case.problem, [], effort * DETERMINISTIC_SECONDS)
    seconds = time.process_time() - start
    if solution is None:
        return [f"{path.stem}: no placement"]
    where = {node: case.problem.devices[d] for node, d in zip(case.ids, solution.assignment, strict=True)}
    value, known = judged(raw, where, latency), KNOWN.get(path.stem)
    cpu = judged(raw, all_on_cpu(raw), latency)
    greedy = judged(raw, filled_in_order(raw, 1.0 if latency else 1 / raw["maxFPGAs"]), latency)
    cells = ("-" if each is None else f"{each:.3f}" for each in (cpu, greedy, value, known))
    print(
        f"{path.stem:<22}{len(raw['nodes']):>6}" + "".join(f"{cell:>11}" for cell in cells)
        + f"{solution.lower_bound:>10.3f}{solution.gap:>8.2%}{seconds:>7.1f}"
    )  # fmt: skip
    if value is None:
        return [f"{path.stem}: the placement is unsound"]
    wrong = []
    if abs(value - solution.price.cost) > 1e-6 * value:
        wrong.append(f"{path.stem}: the solver says {solution.price.cost:.6f}, the judge {value:.6f}")
    if solution.lower_bound > value * (1 + 1e-9):
        wrong.append(f"{path.stem}: the bound {solution.lower_bound:.6f} is above the value")
    if known is not None and value > known + (0 if latency else HALF_DIGIT):
        wrong.append(f"{path.stem}: {value:.3f} is above {known:.3f}")
    if known is not None and not latency and not solution.proven:
        wrong.append(f"{path.stem}: not proven")
    if seconds > limit:
        wrong.append(f"{path.stem}: took {seconds:.0f} s")
    return wrong


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--effort", type=float, default=EFFORT)
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds an instance may take")
    options = parser.parse_args(arguments)
    print(f"{'instance':<22}{'nodes':>6}{'all CPU':>11}{'in order':>11}{'ours':>11}{'known':>11}{'bound':>10}{'gap':>8}{'CPU s':>7}")
    wrong = [line for path in sorted(options.folder.glob("*_*.json")) for line in solved(path, options.effort, options.limit)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
