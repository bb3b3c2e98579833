"""Compiles a model for a phone, runs it, and compares it with the untouched model.

python examples/compile_and_run.py [MODEL.onnx TARGET]

Without arguments: a small vision network for a Pixel 7. Segments whose runtime is not installed run on the CPU (`emulate`).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import autoglmc

LIGHTNET = Path(__file__).resolve().parent.parent / "tests" / "models" / "lightnet.onnx"


def main(model: Path = LIGHTNET, target: str = "tensor_g2") -> None:
    shapes = {"batch": 1} if model == LIGHTNET else {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = autoglmc.compile(model, target, shapes=shapes, output=Path(folder) / "bundle", emulate=True)
        for segment in bundle.manifest.segments:
            print(f"segment {segment.index} on {segment.device}: {segment.predicted_seconds * 1e6:.0f} us predicted")

        session = bundle.session(emulate=True)  # loaded and bound once, for many runs
        for seed in range(3):
            outputs = session.run(random_inputs(bundle, seed))
            print(*(f"{name}: {array.dtype}{list(array.shape)}, mean {array.mean():.1g}" for name, array in outputs.items()))

        report = bundle.verify(model, emulate=True)
        print("verified" if report.verified else f"not verified: {report.reason}")


def random_inputs(bundle: autoglmc.Bundle, seed: int) -> dict[str, np.ndarray]:
    """An array for every input of the model; all dims of a bundle are fixed."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for value in bundle.manifest.model.inputs:
        dtype = {"fp32": np.float32, "fp16": np.float16, "int64": np.int64, "int32": np.int32}[value.dtype]
        floating = np.issubdtype(dtype, np.floating)
        arrays[value.name] = (generator.normal(size=value.shape) if floating else generator.integers(0, 2, value.shape)).astype(dtype)
    return arrays


if __name__ == "__main__":
    main(*(kind(argument) for kind, argument in zip((Path, str), sys.argv[1:], strict=False)))
