"""What an NPU's own SRAM is worth: predicted latency of models on a board with 0 to 512 KiB of it beside DRAM of 0.5 GB/s.

    python benchmarks/sram.py [--made N] [MODEL.onnx [DIM=SIZE …]]…

Without models: lightnet, bert_tiny, glm_tiny of tests/models and N random nets. Exits with 1 where more SRAM is slower, the largest is not
faster than the smallest, where a plan breaks a budget, or where none spills.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.grammar import analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.model import Target

SIZES = (0, 64, 128, 256, 512)
MODELS = Path(__file__).resolve().parents[1] / "tests" / "models"
DEFAULT: Mapping[str, Mapping[str, int]] = {
    "lightnet": {"batch": 1},
    "bert_tiny": {"batch": 1, "seq": 64},
    "glm_tiny": {"batch": 1, "seq": 32},
}


def board(kib: int) -> Target:
    own = f"memory sram {{ size {kib} KiB; bandwidth 8 GB/s; shared npu; }}" if kib else ""
    text = f"""hw 1;
    target board {{ onnx opset 13..21;
      memory dram {{ size 256 MiB; bandwidth 0.5 GB/s; shared npu, cpu; }} {own}
      device npu : x {{ runtime none; peak fp32 64 GOPS; peak int8 128 GOPS; dispatch 20 us; launch 1 us; supports all; }}
      device cpu : y {{ runtime ort; peak fp32 1 GOPS; dispatch 1 us; launch 1 us; supports all; }}
      link npu <-> cpu {{ zero_copy; handoff 1 us; }}
    }}"""
    target = analyse_text(text, "board.hw", rule_facts()).target
    assert target is not None
    return target


def convolutions(seed: int) -> onnx.ModelProto:
    """A residual net: blocks of two convolutions and a sum, with strides between them."""
    dice = np.random.default_rng(seed)
    channels, size = int(dice.choice([8, 16, 24])), int(dice.choice([32, 48]))
    nodes, constants, name, shape = [], [], "x", [1, channels, size, size]

    def convolution(source: str, out: str, before: int, after: int, stride: int) -> str:
        weight = dice.normal(size=(after, before, 3, 3)).astype(np.float32) * np.float32(0.1)
        constants.append(numpy_helper.from_array(weight, f"w_{out}"))
        nodes.append(helper.make_node("Conv", [source, f"w_{out}"], [out], pads=[1] * 4, strides=[stride] * 2))
        return out

    for block in range(int(dice.integers(3, 7))):
        if dice.random() < 0.4 and size > 8:
            name = convolution(name, f"down{block}", channels, 2 * channels, 2)
            channels, size = 2 * channels, size // 2
        inner = convolution(name, f"a{block}", channels, channels, 1)
        nodes.append(helper.make_node("Relu", [inner], [f"r{block}"]))
        inner = convolution(f"r{block}", f"b{block}", channels, channels, 1)
        nodes.append(helper.make_node("Add", [name, inner], [f"s{block}"]))
        name = f"s{block}"
    nodes.append(helper.make_node("GlobalAveragePool", [name], ["y"]))
    ends = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", shape), ("y", [1, channels, 1, 1]))]
    graph = helper.make_graph(nodes, f"made_{seed}", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def cell(result: CompileResult, seconds: float) -> str:
    rows = result.as_json()["memory"]["transfers"]
    spilled, streamed, resident = (sum(row[name] for row in rows) for name in ("spilled", "streamed", "resident"))
    return f"{result.predicted.latency * 1e3:.3f} ms, {spilled}/{streamed}/{resident}, {seconds:.1f} s"


def faults(results: Sequence[CompileResult]) -> list[str]:
    times = [result.predicted.latency for result in results]
    found = [f"{a:.9g} s, then {b:.9g} s with more" for a, b in pairwise(times) if b > a * (1 + 1e-9)]
    found += ["the largest SRAM is not faster than the smallest"] if times[-1] >= times[1] else []
    for result in results:
        budgets = {memory.name: memory.budget for memory in result.work.target.memories}
        found += [f"{name} holds {held.total} B" for name, held in result.predicted.held.items() if held.total > budgets[name]]
    return found


def compiled(model: str | onnx.ModelProto, shapes: Mapping[str, int], folder: Path) -> tuple[list[CompileResult], list[str]]:
    results, cells = [], []
    for kib in SIZES:
        start = time.process_time()
        results.append(compile_model(model, board(kib), output=folder / f"b{kib}", shapes=shapes, verify=False, emulate=True))
        cells.append(cell(results[-1], time.process_time() - start))
    return results, cells


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="MODEL.onnx, each with its DIM=SIZE behind it")
    parser.add_argument("--made", type=int, default=4, help="random convolution nets")
    options = parser.parse_args()
    jobs: list[tuple[str, str | onnx.ModelProto, dict[str, int]]] = []
    for word in options.models:
        if "=" in word:
            jobs[-1][2][word.split("=")[0]] = int(word.split("=")[1])
        else:
            jobs.append((Path(word).stem, word, {}))
    if not jobs:
        jobs = [(name, str(MODELS / f"{name}.onnx"), dict(shapes)) for name, shapes in DEFAULT.items()]
        jobs += [(f"made {seed}", convolutions(seed), {}) for seed in range(options.made)]
    print("predicted latency, tensors spilled / weights streamed / weights resident, processor seconds of the compilation")
    print(f"| model | {' | '.join('none' if not kib else f'{kib} KiB' for kib in SIZES)} |\n|{'---|' * (len(SIZES) + 1)}")
    wrong, spilled = 0, 0
    for name, model, shapes in jobs:
        with tempfile.TemporaryDirectory() as folder:
            results, cells = compiled(model, shapes, Path(folder))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        for fault in faults(results):
            wrong += 1
            print(f"{name}: {fault}", file=sys.stderr)
        spilled += sum(row["spilled"] for result in results for row in result.as_json()["memory"]["transfers"])
    if not spilled:
        print("no plan spills", file=sys.stderr)
    return 1 if wrong or not spilled else 0


if __name__ == "__main__":
    sys.exit(main())
