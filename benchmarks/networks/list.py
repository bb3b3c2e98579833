"""A table of the benchmark's networks: operators, parameters, arithmetic as autoglmc counts it, and milliseconds on onnxruntime.

    python benchmarks/networks/list.py [--measure] [NAME ...]

--measure: also run each on one thread of onnxruntime (processor time of that thread, 10th percentile of the runs of a second).
"""

from __future__ import annotations

import argparse
import sys
import time
from math import prod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from networks import Network, networks
from networks.run import bound, inputs_of, session, sizes_of
from networks.unseen import unseen_networks

SECONDS, FEWEST = 1.0, 5
"""How long one network is run, and at least how often."""


def arithmetic(network: Network) -> tuple[int, int, float]:
    """(operators, parameters, operations) of what autoglmc compiles: the model after shapes are bound and constants folded."""
    from autoglmc.compiler.load.load_model import load_model
    from autoglmc.compiler.load.source import source_of
    from autoglmc.passes.graph.graph import Graph
    from autoglmc.targets.cost import operator_flops

    graph = Graph(load_model(source_of(network.path()), sizes_of(network)).proto)
    parameters = sum(prod(tensor.dims) for tensor in graph.constants.values())
    return len(graph.nodes), parameters, sum(operator_flops(graph.view(node)) for node in graph.nodes)


def milliseconds(network: Network) -> float:
    """10th percentile of the processor time of a run."""
    model = bound(network)
    runner, inputs, found = session(model), inputs_of(model), []
    until = time.monotonic() + SECONDS
    runner.run(None, inputs)
    while time.monotonic() < until or len(found) < FEWEST:
        started = time.thread_time()
        runner.run(None, inputs)
        found.append(time.thread_time() - started)
    return 1e3 * float(np.percentile(found, 10))


def row(network: Network, measured: bool) -> str:
    operators, parameters, operations = arithmetic(network)
    shown = f"{network.name:26} {network.network:24} {network.family:14} {operators:5} {parameters / 1e6:8.2f} {operations / 1e9:8.3f}"
    return f"{shown} {milliseconds(network):8.2f}" if measured else shown


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks (default: all, fresh ones too)")
    parser.add_argument("--measure", action="store_true", help="also run each on onnxruntime")
    chosen = parser.parse_args()
    known = {network.name: network for network in (*networks(), *unseen_networks())}
    if unknown := sorted(set(chosen.names) - set(known)):
        parser.error(f"unknown: {', '.join(unknown)}")
    print(f"{'name':26} {'network':24} {'family':14} {'ops':>5} {'Mparams':>8} {'GFLOP':>8}{'       ms' if chosen.measure else ''}")
    for name in chosen.names or known:
        print(row(known[name], chosen.measure), flush=True)


if __name__ == "__main__":
    main()
