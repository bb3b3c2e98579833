"""fp16 exports beside their fp32 twins on an NPU: operators there, whether the bundle is verified, time to compile.

.venv-devices/bin/python benchmarks/half_models.py [NAME ...] [--target snapdragon_8gen3]

Exits with 1 where an fp16 model takes fewer operators to the NPU than its twin, is not verified, or takes more than 1.5 times as long.
Without the NPU's compiler and emulator (onnxruntime-qnn) nothing can be said, and it exits with 2. Both are compiled in turn, twice, with
empty caches: the shorter time counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

NAMES = ("bert_tiny", "lightnet", "vit_wide", "yolo_wide")
SLOWER = 1.5
ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Row:
    operators: int
    verified: bool
    seconds: float
    reason: str


def row(path: Path, name: str, target: str, folder: Path) -> Row:
    import os

    from half_exports import half_shapes

    from autoglmc.compiler.driver.compile_model import compile_model

    with tempfile.TemporaryDirectory() as cache:  # nothing that an earlier run worked out
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = cache
        start = time.perf_counter()
        try:
            result = compile_model(path, target, shapes=half_shapes(name), output=folder / "bundle")
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before
        seconds = time.perf_counter() - start
    placed = next(device["operators"] for device in result.as_json()["devices"] if device["name"] == "npu")
    return Row(placed, result.verified, seconds, "; ".join(result.reasons))


def pair(name: str, target: str) -> tuple[Row, Row]:
    """The fp32 model and its fp16 export; of the rounds the fastest."""
    import onnx
    from half_exports import as_half, twin

    single = twin(name)
    best: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as work:
        for _ in range(ROUNDS):
            for kind, model in (("fp32", single), ("fp16", as_half(single))):
                path = Path(work) / f"{name}_{kind}.onnx"
                onnx.save(model, path)
                found = row(path, name, target, Path(work))
                if kind not in best or found.seconds < best[kind].seconds:
                    best[kind] = found
    return best["fp32"], best["fp16"]


def main() -> int:
    from autoglmc.compiler.devices.find_adapter import absence

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--target", default="snapdragon_8gen3")
    arguments = parser.parse_args()
    if lack := absence("qnn", ("htp", "soc", "57", "arch", "75")):
        print(lack.reason)
        return 2
    held = True
    print(f"{'model':12} {'npu fp32':>9} {'npu fp16':>9} {'fp32 s':>8} {'fp16 s':>8} {'ratio':>6}  verified")
    for name in arguments.names:
        single, half = pair(name, arguments.target)
        ratio = half.seconds / single.seconds
        right = half.operators >= single.operators > 0 and half.verified and single.verified and ratio <= SLOWER
        held &= right
        verified = "both" if half.verified and single.verified else f"no: {half.reason or single.reason}"
        print(
            f"{name:12} {single.operators:9} {half.operators:9} {single.seconds:8.1f} {half.seconds:8.1f} {ratio:6.2f}  {verified}"
            + ("" if right else "   FAILS"),
            flush=True,
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
