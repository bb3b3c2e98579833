"""How long the forms of a network take, beside each other, on the runtimes that are here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from networks import Network
from networks.run import bound, inputs_of, session

PASSES, RUNS, SECONDS = 4, 40, 0.25
"""Passes over the forms of a network; of one form in a pass, at most so many runs, and at most so long."""
Run = Callable[[Mapping[str, Any]], Sequence[Any]]


def on_onnxruntime(model: onnx.ModelProto) -> Run:
    runner = session(model)
    return lambda inputs: runner.run(None, dict(inputs))


def on_openvino(model: onnx.ModelProto) -> Run:
    """With what autoglmc's adapter pins: fp32 arithmetic, accuracy mode, one thread."""
    import tempfile
    from pathlib import Path

    import openvino

    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "model.onnx")
        settings = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY", "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}  # fmt: skip
        request = core.compile_model(str(Path(folder) / "model.onnx"), "CPU", settings).create_infer_request()
    names = [value.name for value in model.graph.input]

    def run(inputs: Mapping[str, Any]) -> list[Any]:
        request.infer([inputs[name] for name in names])
        return [output.data for output in request.output_tensors]

    return run


def runtimes() -> dict[str, Callable[[onnx.ModelProto], Run]]:
    from importlib.util import find_spec

    return {"onnxruntime": on_onnxruntime} | ({"openvino": on_openvino} if find_spec("openvino") else {})


def measured(runs: Mapping[str, Run], inputs: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds of each, processor time of all threads, since a runtime may compute on one of its own."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(PASSES):
        for name, run in runs.items():
            run(inputs)
            until = time.monotonic() + SECONDS
            for _ in range(RUNS):
                started = time.process_time()
                run(inputs)
                found[name].append(time.process_time() - started)
                if time.monotonic() > until:
                    break
    return {name: 1e3 * float(np.percentile(times, 10)) for name, times in found.items()}


def table(network: Network, runtime: str, load: Callable[[onnx.ModelProto], Run]) -> str:
    """A line: milliseconds of each form, and how far its first output is from fp32's (as a share of that one's deviation)."""
    from networks.forms import forms

    models = {name: bound(form) for name, form in forms(network).items()}
    inputs, runs, missing = inputs_of(models["fp32"]), {}, {}
    for name, model in models.items():
        try:
            runs[name] = load(model)
            runs[name](inputs)
        except Exception as error:  # a form that a runtime refuses is a result, not a fault of this program
            runs.pop(name, None)
            missing[name] = str(error).strip().splitlines()[-1][:60]
    outputs = {name: np.array(run(inputs)[0]) for name, run in runs.items()}
    times, true = measured(runs, inputs), outputs["fp32"]
    cells = [f"{name} {times[name]:7.2f} ({np.abs(outputs[name] - true).mean() / true.std():.0e})" for name in runs]
    return f"{network.name:20} {runtime:12} {'  '.join([*cells, *(f'{name}: {why}' for name, why in missing.items())])}"


def main(names: Sequence[str]) -> None:
    from networks.forms import with_forms

    known = {network.name: network for network in with_forms()}
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    for name in names or known:
        for runtime, load in runtimes().items():
            print(table(known[name], runtime, load), flush=True)
