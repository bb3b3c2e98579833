"""Compile time, as a user meets it: the whole command, next to the onnxsim command and onnxruntime's offline optimizer.

    python benchmarks/compile_time.py [--target a16] [--repeat 3] [MODEL ...]

All commands run in this one session, alternating, each in a fresh process; the best of the repeats counts. The ratio to onnxsim must
stay below 1.5. A peer that fails on a model has no number there. Stage times are those of the fastest run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetch_models import NAMES, fetch

SHAPES: Mapping[str, Sequence[str]] = {
    "bert_tiny": ["input_ids:1,32", "attention_mask:1,32", "token_type_ids:1,32"],
    "glm_tiny": ["input_ids:1,32", "attention_mask:1,32"],
    "lightnet": ["pixel_values:1,3,96,96"],
    "magika_v3_3": ["bytes:1,2048"],
    "ppocr2_cls": ["x:1,3,48,192"],
    "ppocr4_det": ["x:1,3,640,640"],
    "ppocr4_rec": ["x:1,3,48,320"],
    "silero_vad_16k_op15": ["input:1,512", "state:2,1,128"],
}
"""As onnxsim writes them; a model that is not here has static shapes."""
OFFLINE = """
import sys, onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
options.optimized_model_filepath = sys.argv[2]
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of the fastest successful run (None if none was), and what it wrote to stdout."""

    seconds: float | None
    output: str


def commands(name: str, path: Path, target: str, folder: Path) -> dict[str, list[str]]:
    shapes = SHAPES.get(name, [])
    ours = [word for shape in shapes for word in ("--shape", shape.replace(":", "=").replace(",", "x"))]
    script = Path(sys.executable).parent
    return {
        "autoglmc": [f"{script}/autoglmc", str(path), "--target", target, *ours, "-o", f"{folder}/{name}.bundle", "--no-verify", "--json"],
        "onnxsim": [f"{script}/onnxsim", str(path), f"{folder}/{name}.onnx", *(["--overwrite-input-shape", *shapes] if shapes else [])],
        "onnxruntime": [sys.executable, "-c", OFFLINE, str(path), f"{folder}/{name}.ort.onnx"],
    }


def measure(wanted: Mapping[str, Sequence[str]], repeat: int) -> dict[str, Timing]:
    best: dict[str, Timing] = {name: Timing(None, "") for name in wanted}
    for _ in range(repeat):
        for name, command in wanted.items():
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True)
            seconds = time.perf_counter() - start
            known = best[name].seconds
            if done.returncode == 0 and (known is None or seconds < known):
                best[name] = Timing(seconds, done.stdout)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names known to fetch_models.py (default: all)")
    parser.add_argument("--target", default="a16")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(f"{'model':24}{'autoglmc':>10}{'onnxsim':>10}{'ort':>8}{'ratio':>8}  stages of autoglmc, ms")
    over = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models or NAMES:
            found = measure(commands(name, fetch(name), options.target, Path(folder)), options.repeat)
            ours, peer, other = (found[tool].seconds for tool in ("autoglmc", "onnxsim", "onnxruntime"))
            ratio = ours / peer if ours is not None and peer is not None else None
            stages = json.loads(found["autoglmc"].output).get("seconds", {}) if ours is not None else {}
            row = "".join(f"{'failed' if s is None else f'{s:.2f} s':>{width}}" for s, width in ((ours, 10), (peer, 10), (other, 8)))
            shown = "-" if ratio is None else f"{ratio:.2f}"
            print(f"{name:24}{row}{shown:>8}  {', '.join(f'{k} {v * 1e3:.0f}' for k, v in stages.items())}", flush=True)
            if ours is None or (ratio is not None and ratio > 1.5):
                over.append(name)
    if over:
        raise SystemExit(f"failed, or beyond 1.5 times onnxsim: {', '.join(over)}")


if __name__ == "__main__":
    main()
