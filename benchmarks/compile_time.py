"""Compile time, as a user meets it: the whole command, next to the onnxsim command and onnxruntime's offline optimizer.

    python benchmarks/compile_time.py [--target a16 --target x86_cpu | --target all] [--repeat 3] [MODEL ...]

All commands run in this one session, alternating, each in a fresh process; the fastest of the repeats counts. The ratio to onnxsim
must not exceed 1.5 on any model that onnxsim can process; otherwise the exit code is 1. Stage times are those of the fastest run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetch_models import NAMES, fetch

LIMIT = 1.5
TARGETS = ("a16", "snapdragon_8gen3", "tensor_g2", "x86_cpu")
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
    """Seconds of the fastest successful run and what it wrote to stdout; None and the end of its complaint if none was."""

    seconds: float | None
    output: str

    def __str__(self) -> str:
        return "failed" if self.seconds is None else f"{self.seconds:.2f} s"


def commands(name: str, path: Path, targets: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """The command lines by what they measure: the two peers, and a target's name for ours."""
    shapes = SHAPES.get(name, [])
    bound = [word for shape in shapes for word in ("--shape", shape.replace(":", "=").replace(",", "x"))]
    script = Path(sys.executable).parent
    peers = {
        "onnxsim": [f"{script}/onnxsim", str(path), f"{folder}/{name}.onnx", *(["--overwrite-input-shape", *shapes] if shapes else [])],
        "onnxruntime": [sys.executable, "-c", OFFLINE, str(path), f"{folder}/{name}.ort.onnx"],
    }
    compile_ = [f"{script}/autoglmc", str(path), *bound, "--no-verify", "--allow-unverified", "--json"]
    return peers | {target: [*compile_, "--target", target, "-o", f"{folder}/{name}.{Path(target).stem}"] for target in targets}


def measure(wanted: Mapping[str, Sequence[str]], repeat: int) -> dict[str, Timing]:
    # every tool runs from byte code, as it does once installed: an environment that forbids writing it would slow only a checkout
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    best = {name: Timing(None, "") for name in wanted}
    for _ in range(repeat):
        for name, command in wanted.items():
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            seconds = time.perf_counter() - start
            known = best[name].seconds
            if done.returncode != 0:
                best[name] = Timing(None, _complaint(done.stderr)) if known is None else best[name]
            elif known is None or seconds < known:
                best[name] = Timing(seconds, done.stdout)
    return best


def report(name: str, found: Mapping[str, Timing], targets: Sequence[str]) -> list[str]:
    """Prints a model's rows; which of them failed or took too long."""
    peer, offline = found["onnxsim"], found["onnxruntime"]
    over = []
    for target in targets:
        ours = found[target]
        row = f"{name:24}{target:18}{ours!s:>9}{peer!s:>9}{offline!s:>9}{_ratio(ours, peer):>9}{_ratio(ours, offline):>9}"
        stages = json.loads(ours.output)["seconds"] if ours.seconds is not None else {}
        print(f"{row}  {', '.join(f'{stage} {seconds * 1e3:.0f}' for stage, seconds in stages.items())}", flush=True)
        if ours.seconds is None or (peer.seconds is not None and ours.seconds > LIMIT * peer.seconds):
            over.append(f"{name} for {target}")
    for tool in ("onnxsim", "onnxruntime", *targets):
        if found[tool].seconds is None:
            print(f"    {tool} failed: {found[tool].output}", flush=True)
    return over


def _ratio(ours: Timing, peer: Timing) -> str:
    return "-" if ours.seconds is None or peer.seconds is None else f"{ours.seconds / peer.seconds:.2f}"


def _complaint(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    return " ".join(line.strip() for line in lines[-3:])[-300:] or "no message"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names known to fetch_models.py (default: all)")
    parser.add_argument("--target", action="append", help="a stock target, a .hw file, or `all` (default: a16 and x86_cpu)")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    targets = options.target or ["a16", "x86_cpu"]
    targets = list(TARGETS) if targets == ["all"] else targets
    print(f"{'model':24}{'target':18}{'autoglmc':>9}{'onnxsim':>9}{'ort':>9}{'/onnxsim':>9}{'/ort':>9}  stages of autoglmc, ms")
    over = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models or NAMES:
            over += report(name, measure(commands(name, fetch(name), targets, Path(folder)), options.repeat), targets)
    if over:
        raise SystemExit(f"failed, or beyond {LIMIT} times onnxsim: {', '.join(over)}")


if __name__ == "__main__":
    main()
