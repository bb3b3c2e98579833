"""Models with every dim bound, written with onnx alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper


def bound(source: Path, output: Path, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, np.ndarray] | None = None) -> Path:
    """Writes the model with these shapes of its inputs, and with inputs that never change as constants."""
    if output.exists():
        return output
    model = onnx.load(source)
    fixed = constants or {}
    kept = [value for value in model.graph.input if value.name not in fixed]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in fixed.items())
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            dim.Clear()
            dim.dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    output.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(onnx.shape_inference.infer_shapes(model, data_prop=True), output)
    return output
