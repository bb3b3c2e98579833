"""What tools/gpu_check.sh runs: makes the cases on one machine, runs and times them on another.

python tools/gpu_check.py gather FOLDER     bundles with Vulkan segments, inputs, and outputs of the untouched models
python tools/gpu_check.py run FOLDER        predicted beside measured seconds of every GPU step, and whether the outputs are right
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TARGET = """hw 1;

include "std/iree_vulkan.hw";
include "std/ort_cpu.hw";

// The GPU of workstation.hw beside a CPU that is too slow to be chosen, so that all that Vulkan can run is on the GPU.

target gpu_check {
  name "any Vulkan GPU, and a CPU too slow to be chosen";
  onnx opset 13..21;

  memory dram { size 16 GiB @guess; bandwidth 51.2 GB/s @guess; page 4 KiB @guess; shared gpu, cpu; }

  device gpu : vulkan {
    runtime   iree vulkan;
    inherit   iree_vulkan;
    peak      fp32 1.5 TFLOPS @guess;
    sustained 40 % @guess;
    dispatch  150 us @guess;
    launch    10 us @guess;
  }

  device cpu : x86 {
    runtime  ort;
    inherit  ort_cpu;
    peak     fp32 1 GFLOPS @guess;
    dispatch 5 us @guess;
    launch   1 us @guess;
  }

  link gpu <-> cpu { via host_pages; zero_copy; align 4 KiB; length multiple 4 KiB; handoff 20 us @guess; copy 10 GB/s @guess; }
}
"""
NETWORKS = ("preact_resnet20_32", "mobilenet_v1_quarter_96", "vit_opset20_96", "unet_128", "bert_mini_64")
"""Of benchmarks/networks: convolutions with and without groups, attention on patches, deconvolutions, a language model."""
FAR = 0.02
"""Of an output's spread: what a GPU's own order of sums and its functions may differ by from float32 on the CPU, with room; wrong
kernels are at tenths of it."""
BUDGET = 150.0
"""Seconds for all cases; what does not fit is named."""
LEAST, MOST = 3, 30


def gather(folder: Path) -> int:
    """Compiles the cases, and keeps what onnxruntime computes from the untouched models."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from networks.index import networks

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "gpu_check.hw"
    target.write_text(TARGET, encoding="utf-8")
    found = {network.name: network for network in networks()}
    for name in NETWORKS:
        _make_case(found[name], target, folder)
    return 0


def _make_case(network: Any, target: Path, folder: Path) -> None:
    import onnxruntime

    import autoglmc
    from autoglmc.compiler.load.bind_shapes import parse_shapes

    model, shapes = network.path(), parse_shapes(network.shapes)
    result = autoglmc.compile_model(model, target, output=folder / network.name, verify=False, shapes=shapes)
    on_gpu = [segment for segment in result.manifest.segments if segment.device == "gpu"]
    feeds = {value.name: _values(value.dtype, value.shape) for value in result.manifest.model.inputs}
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    np.savez(folder / f"{network.name}.inputs.npz", **feeds)
    np.savez(folder / f"{network.name}.outputs.npz", **dict(zip(names, session.run(names, feeds), strict=True)))
    print(f"gpu_check: {network.name}: {len(on_gpu)} of {len(result.manifest.segments)} segments on the GPU")


def _values(dtype: str, shape: Sequence[int]) -> np.ndarray:
    generator = np.random.default_rng(7)
    if dtype.startswith(("int", "uint")):
        return generator.integers(0, 2, shape).astype(dtype)
    return generator.standard_normal(shape).astype({"fp32": "float32", "fp16": "float16"}[dtype])


def run(folder: Path) -> int:
    """A table on the screen, gpu_check.json beside the cases; 0 where every output is right."""
    from autoglmc.compiler.errors import BundleError

    began, rows, wrong = time.perf_counter(), [], 0
    cases = sorted(path.name.removesuffix(".inputs.npz") for path in folder.glob("*.inputs.npz"))
    print(f"{'model':<24} {'step':<8} {'where':<40} {'predicted':>10} {'best':>10} {'median':>10}  output")
    for number, name in enumerate(cases):
        left = BUDGET - (time.perf_counter() - began)
        if left <= 0:
            print(f"{name:<24} not run: {BUDGET:.0f} s are over")
            wrong += 1
            continue
        try:
            for row in _run_case(folder, name, left / (len(cases) - number)):
                rows.append(row)
                print(_line(row))
                wrong += row["output"] not in ("", "right")
        except BundleError as error:
            print(f"{name:<24} not run: {error}")
            wrong += 1
    (folder / "gpu_check.json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    print(f"{'all outputs right' if not wrong else f'{wrong} wrong or not run'}, {time.perf_counter() - began:.1f} s")
    return 1 if wrong or not cases else 0


def _line(row: dict[str, Any]) -> str:
    times = (f"{row[key] * 1e3:>7.3f} ms" if row[key] is not None else f"{'':>10}" for key in ("predicted", "best", "median"))
    return f"{row['model']:<24} {row['step']:<8} {row['where'][:40]:<40} {' '.join(times)}  {row['output']}"


def _run_case(folder: Path, name: str, seconds: float) -> Iterator[dict[str, Any]]:
    from autoglmc.compiler.run.bundle import Bundle
    from autoglmc.compiler.run.result import run_result

    with np.load(folder / f"{name}.inputs.npz") as file:
        feeds = dict(file)
    bundle = Bundle.load(folder / name)
    session = bundle.session()
    times, runs = [], []
    while len(times) < LEAST or (sum(times) < seconds / 2 and len(times) < MOST):
        start = time.perf_counter()
        runs.append(session.run(feeds))
        times.append(time.perf_counter() - start)
    predicted = {f"run {segment.index}": segment.predicted_seconds for segment in bundle.manifest.segments if segment.device == "gpu"}
    result = run_result(session, runs, times)
    if session.copied:
        print(f"{name:<24} copied, not shared: inputs and outputs of segment {', '.join(session.copied)}")
    for step in result.steps:
        yield {
            "model": name, "step": step.what, "where": f"{step.device}: {step.hardware}", "predicted": predicted.get(step.what),
            "best": step.best, "median": step.median, "output": "",
        }  # fmt: skip
    yield {
        "model": name, "step": "all", "where": "", "predicted": None, "best": result.best, "median": result.median,
        "output": _verdict(folder / f"{name}.outputs.npz", result.outputs),
    }  # fmt: skip


def _verdict(expected: Path, outputs: Any) -> str:
    with np.load(expected) as file:
        wanted = dict(file)
    off = {key: float(np.abs(outputs[key] - value).max() / (value.std() or 1.0)) for key, value in wanted.items()}
    worst = max(off, key=lambda key: off[key] if np.isfinite(off[key]) else np.inf)
    return "right" if off[worst] <= FAR else f"WRONG: {worst} is {off[worst]:.3g} of its spread off"


if __name__ == "__main__":
    verbs = {"gather": gather, "run": run}
    if len(sys.argv) != 3 or sys.argv[1] not in verbs:
        raise SystemExit(__doc__)
    raise SystemExit(verbs[sys.argv[1]](Path(sys.argv[2])))
