"""The real models of the tests, ready for passes: dims bound, at opset 21, typed."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from models import SHAPES, model_path
from onnx import version_converter
from run_model import infer

SMALL: Mapping[str, Mapping[str, int | tuple[int, ...]]] = {"ppocr4_det": {"x": (1, 3, 64, 96)}}


def load(name: str) -> onnx.ModelProto:
    """The model with its dims bound, at opset 21, typed."""
    model, shapes = onnx.load(model_path(name)), SMALL.get(name, SHAPES[name])
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initial]
    for value in inputs:
        dims, fixed = value.type.tensor_type.shape.dim, shapes.get(value.name, ())
        for k, dim in enumerate(dims):
            bound = fixed[k] if isinstance(fixed, tuple) and fixed else shapes.get(dim.dim_param)
            if isinstance(bound, int):
                dim.dim_value = bound
    for dim in (dim for value in model.graph.output for dim in value.type.tensor_type.shape.dim):
        if dim.dim_value < 0:
            dim.ClearField("dim_value")
    if model.ir_version < 4:
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 10)
    return infer(version_converter.convert_version(model, 21))
