"""Runs small models in onnxruntime, for tests that compare before and after."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.graph.versions import NEWEST

onnxruntime.set_default_logger_severity(4)


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(model, data_prop=True, strict_mode=True)


def emitted(graph: Graph) -> onnx.ModelProto:
    """The graph as a checked model at the newest opset, since it may hold operators newer than the model's own."""
    model = graph.to_model()
    for entry in model.opset_import:
        if entry.domain == "" and entry.version >= 18:
            entry.version = NEWEST
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs, computed without onnxruntime's own graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(array) for array in session.run(None, feeds)]


def feeds(model: onnx.ModelProto, seed: int, scale: float = 1.5) -> dict[str, np.ndarray]:
    """Normally distributed inputs of the model's static shapes; integers in -8..8."""
    generator, result = np.random.default_rng(seed), {}
    initial = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in initial:
            continue
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        array = generator.standard_normal(shape) * scale if np.issubdtype(dtype, np.floating) else generator.integers(-8, 9, shape)
        result[value.name] = np.asarray(array).astype(dtype)
    return result
