"""Small models written as ONNX text, for tests."""

from __future__ import annotations

from pathlib import Path

import onnx


def parse(graph: str, opset: int = 18, ir: int = 8, **domains: int) -> onnx.ModelProto:
    """A model of the ONNX text of its graph: `agraph (float[1,4] x) => (float[1,4] y) { y = Relu(x) }`. Not checked."""
    imports = ", ".join(f'"{domain}": {version}' for domain, version in {"": opset, **domains}.items())
    return onnx.parser.parse_model(f"<ir_version: {ir}, opset_import: [{imports}]> {graph}")


def save(model: onnx.ModelProto | bytes, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


RELU = "g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }"
DYNAMIC = "g (float[batch,4] x, float[batch,seq] z) => (float[batch,4] y, float[batch,seq] w) { y = Relu(x) w = Relu(z) }"
