"""What loading and running a bundle takes: resident bytes at the highest and after, beside what the plan predicts.

    python benchmarks/load_memory.py [--target NAME] [NAME ...]

NAME: models of the test suite (tests/models.py). Each bundle is compiled here, then loaded and run in a process of its own, which reads
VmHWM of /proc/self/status; what that process takes before it loads anything (onnxruntime imported and used once) is taken off. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from models import NAMES, SHAPES, model_path

from autoglmc.compiler.api.compile import compile_model

CHILD = """
import sys
import numpy as np, onnx, onnxruntime
from onnx import parser
from autoglmc.compiler.run.bundle import Bundle

def now():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith(("Vm", "Rss")))
    return {name: int(value.split()[0]) << 10 for name, value in lines.items() if value.strip().endswith("kB")}

small = parser.parse_model('<ir_version: 8, opset_import: ["": 18]> g (float[4] x) => (float[4] y) { y = Relu(x) }')
onnxruntime.InferenceSession(small.SerializeToString()).run(None, {"x": np.zeros(4, np.float32)})
bundle = Bundle.load(sys.argv[1])
dice = np.random.default_rng(0)
types = {"fp32": np.float32, "int64": np.int64, "int32": np.int32, "bool": bool, "fp16": np.float16}
inputs = {v.name: np.zeros(v.shape, types[v.dtype]) for v in bundle.manifest.model.inputs}
open("/proc/self/clear_refs", "w").write("5")
before = now()
session = bundle.session(emulate=True)
loaded, high = now(), now()["VmHWM"]
open("/proc/self/clear_refs", "w").write("5")
session.run(inputs)
after = now()
base = before["VmRSS"]
print(high - base, loaded["VmRSS"] - base, after["VmHWM"] - base)
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME", default=list(NAMES))
    parser.add_argument("--target", default="x86_cpu")
    options = parser.parse_args(arguments)
    titles = ("weights", "largest", "run peak", "load peak", "load", "loaded", "run")
    print(f"{'bytes, ' + options.target:<24}" + "".join(f"{title:>14}" for title in titles))
    for name in options.models:
        print(f"{name:<24}" + "".join(f"{number:>14,}" for number in row(name, options.target)), flush=True)


def row(name: str, target: str) -> list[int]:
    """Weights, those of the largest segment, predicted run and load peaks; measured: the load's peak, after it, the run's peak."""
    with tempfile.TemporaryDirectory() as folder:
        result = compile_model(model_path(name), target, shapes=SHAPES[name], output=Path(folder) / "b", verify=False, emulate=True)
        found = result.predicted
        ran = subprocess.run([sys.executable, "-c", CHILD, str(Path(folder) / "b")], capture_output=True, text=True, check=True)
        weights, largest = (sum(getattr(held, name) for held in found.held.values()) for name in ("weights", "loading"))
        return [weights, largest, found.memory, found.load_peak, *map(int, ran.stdout.split())]


if __name__ == "__main__":
    main(sys.argv[1:])
