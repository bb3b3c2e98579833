"""Checks that networks are what the benchmark needs: made twice the same, finite in onnxruntime, compiled for x86_cpu.

    python benchmarks/networks/check.py [NAME ...]

Exit code 1 where one is not.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from networks import Network, networks
from networks.run import bound, inputs_of, outputs_of, session, sizes_of
from networks.unseen import unseen_networks

LARGEST = 1e4
"""What an output may reach: more would say that activations grow from layer to layer."""


def problems(network: Network) -> list[str]:
    """What is wrong with a network, a sentence each."""
    found = []
    if network.make is not None:
        first, second = (hashlib.sha256(network.make().SerializeToString(deterministic=True)).hexdigest() for _ in range(2))
        if first != second:
            found.append("made twice, it differs")
    model = bound(network)
    onnx.checker.check_model(model, full_check=True)
    runner = session(model)
    first, second = (outputs_of(model, inputs_of(model, seed), runner) for seed in (0, 1))
    stated = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in model.graph.output}
    for name, value in first.items():
        found += _wrong_output(name, value, stated[name])
    if all(np.array_equal(value, second[name]) for name, value in first.items()):
        found.append("no output depends on the inputs")
    return [*found, *_compiled(network)]


def _wrong_output(name: str, first: np.ndarray, stated: list[int]) -> list[str]:
    found = []
    if all(stated) and list(first.shape) != stated:
        found.append(f"output {name} has shape {list(first.shape)}, but the model declares {stated}")
    if first.dtype.kind == "f" and not np.isfinite(first).all():
        found.append(f"output {name} is not finite")
    elif first.dtype.kind == "f" and abs(first).max() > LARGEST:
        found.append(f"output {name} reaches {abs(first).max():.3g}")
    return found


def _compiled(network: Network) -> list[str]:
    from autoglmc.compiler.driver.compile_model import compile_model
    from autoglmc.compiler.errors import UserError

    with tempfile.TemporaryDirectory() as folder:
        try:
            compile_model(network.path(), "x86_cpu", shapes=sizes_of(network), verify=False, output=f"{folder}/bundle")
        except UserError as error:
            return [f"autoglmc refuses it: {error}"]
    return []


if __name__ == "__main__":
    wanted, wrong = sys.argv[1:], 0
    known = (*networks(), *unseen_networks())
    if unknown := set(wanted) - {network.name for network in known}:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}")
    for network in known:
        if not wanted or network.name in wanted:
            started = time.monotonic()
            try:
                told = problems(network)
            except Exception as error:  # the next one is checked all the same
                told = [f"{type(error).__name__}: {str(error)[-300:]}"]
            wrong += bool(told)
            print(f"{network.name:28} {'; '.join(told) or 'good'} ({time.monotonic() - started:.1f} s)", flush=True)
    raise SystemExit(1 if wrong else 0)
