"""What does verification cost, the first time and when its reference is known, next to three plain runs of both sides?

    python benchmarks/verify_time.py [--target x86_cpu] [MODEL …]

Plain is what verification was before it had a reference of its own: the untouched model opened by onnxruntime with its optimisations off,
the bundle's session, three input sets through both, the largest difference. First: `verify` with an empty cache. Again: with what the
first one kept. Each is a process of its own, all in turn, the fastest of ROUNDS. The first may take 5 s and ten times plain, the second
twice plain; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fetch_models import ROOT, fetch

sys.path.append(str(ROOT / "tests"))

from models import NAMES, SHAPES

from autoglmc.compiler.driver.compile_model import compile_model

ROUNDS = 3
FIRST, TIMES, AGAIN = 5.0, 10.0, 2.0
IMPORTS = "import numpy, sys; from pathlib import Path; from autoglmc.compiler.run.bundle import Bundle; import onnx, onnxruntime; "
PLAIN = (
    IMPORTS
    + """
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.load.weights import model_sha256
from autoglmc.compiler.verify.reference import Reference, read_graph
path, bundle = Path(sys.argv[1]), Bundle.load(sys.argv[2])
model_sha256(path)
model, session = read_graph(path), bundle.session(emulate=True, poison=True)
reference = Reference(path, model)
shapes = {value.name: value.shape for value in bundle.manifest.model.inputs}
for seed in range(3):
    made = generate_inputs(model, seed, shapes)
    fed = {name: made[name] for name in shapes}
    expected, got = reference.run(fed), session.run(fed)
    print(max(float(numpy.abs(numpy.asarray(expected[n], float) - got[n]).max()) for n in expected))
"""
)
OURS = (
    IMPORTS
    + """
report = Bundle.load(sys.argv[2]).verify(Path(sys.argv[1]), emulate=True)
assert report.verified, report.reason
"""
)


def seconds(code: str, model: Path, bundle: Path, cache: Path) -> float:
    """Of the whole process."""
    begin = time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    subprocess.run([sys.executable, "-c", code, str(model), str(bundle)], check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(name: str, target: str, folder: Path) -> tuple[float, float, float]:
    """(plain, first, again) in seconds, the fastest of ROUNDS each, in turn."""
    out = folder / name
    compile_model(fetch(name), target, shapes=SHAPES[name], output=out, verify=False)
    rows = []
    for number in range(ROUNDS):
        cache = folder / f"{name}.cache{number}"
        rows.append([seconds(code, fetch(name), out, cache) for code in (PLAIN, OURS, OURS)])
    plain, first, again = (min(column) for column in zip(*rows, strict=True))
    return plain, first, again


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=NAMES)
    parser.add_argument("--target", default="x86_cpu")
    arguments = parser.parse_args()
    slow = []
    print("| model | plain | first | allowed | again | of plain |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            plain, first, again = measure(name, arguments.target, Path(folder))
            allowed = FIRST + TIMES * plain
            slow += [name] if first > allowed or again > AGAIN * plain else []
            print(f"| {name} | {plain:.2f} s | {first:.2f} s | {allowed:.2f} s | {again:.2f} s | {again / plain:.2f} |", flush=True)
    if slow:
        print(f"slower than allowed: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
