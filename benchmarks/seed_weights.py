"""Give the onnx wheel's `light_*` models weights that mean something, so that their outputs depend on their inputs.

The wheel ships real network structures whose every weight is one constant (ConstantOfShape): whatever goes in, the same comes
out. Here each weight is drawn from a seeded distribution, and the statistics of every BatchNormalization are measured, so that
activations stay near unit variance down to the logits.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

LOGIT_DEVIATION = 2.0
BATCHNORM = {"scale": 1, "shift": 2, "mean": 3, "variance": 4}
"""Operand positions of BatchNormalization."""


def seed_weights(source: Path, destination: Path, seed: int = 0) -> None:
    """Writes a copy of `source` with random weights in place of constant ones; equal seeds give equal weights."""
    model = onnx.load(source)
    model.ir_version = 8
    rng = np.random.default_rng(seed)
    _draw(model.graph, rng)
    image = _image(model.graph, rng)
    _measure_batchnorms(model, image)
    _scale_logits(model, image)
    onnx.checker.check_model(model)
    onnx.save(model, destination)


def _draw(graph: onnx.GraphProto, rng: np.random.Generator) -> None:
    """Every ConstantOfShape becomes a random initializer, as its first reader needs it."""
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    reader = {name: (node, i) for node in reversed(graph.node) for i, name in enumerate(node.input)}
    constants = [node for node in graph.node if node.op_type == "ConstantOfShape" and node.input[0] in shapes]
    for node in constants:
        values = _values(*reader[node.output[0]], tuple(int(dim) for dim in shapes[node.input[0]]), rng)
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for field in (graph.initializer, graph.input):
        for item in [item for item in field if item.name not in read]:
            field.remove(item)


def _values(node: onnx.NodeProto, position: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(shape)
    if node.op_type == "Conv" and position == 1:
        return noise * math.sqrt(2 / math.prod(shape[1:]))
    if node.op_type == "Gemm" and position == 1:
        return noise * math.sqrt(2 / max(shape))
    if node.op_type == "BatchNormalization" and position == BATCHNORM["scale"]:
        return 1 + 0.1 * noise
    if node.op_type == "BatchNormalization" and position == BATCHNORM["variance"]:
        return 1 + abs(0.2 * noise)
    return 0.1 * noise


def _image(graph: onnx.GraphProto, rng: np.random.Generator) -> dict[str, np.ndarray]:
    weights = {tensor.name for tensor in graph.initializer}
    value = next(value for value in graph.input if value.name not in weights)
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    blobs = rng.standard_normal((*shape[:2], 4, 4)).repeat(shape[2] // 4, axis=2).repeat(shape[3] // 4, axis=3)
    return {value.name: (blobs + 0.3 * rng.standard_normal(shape)).astype(np.float32)}


def _measure_batchnorms(model: onnx.ModelProto, image: dict[str, np.ndarray]) -> None:
    """Mean and variance of what each BatchNormalization is fed.

    One pass does: with batch 1 InstanceNormalization computes exactly what a BatchNormalization with the right statistics would.
    """
    normalised = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    if not normalised:
        return
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for node in probe.graph.node:
        if node.op_type == "BatchNormalization":
            node.op_type = "InstanceNormalization"
            del node.input[3:], node.output[1:], node.attribute[:]
            node.attribute.append(helper.make_attribute("epsilon", 1e-5))
    for node, fed in zip(normalised, _run(probe, image, [node.input[0] for node in normalised]), strict=True):
        _set(model.graph, node.input[BATCHNORM["mean"]], fed.mean(axis=(0, 2, 3)))
        _set(model.graph, node.input[BATCHNORM["variance"]], fed.var(axis=(0, 2, 3)) + 1e-4)


def _scale_logits(model: onnx.ModelProto, image: dict[str, np.ndarray]) -> None:
    last = next(node for node in reversed(model.graph.node) if node.op_type in ("Gemm", "Conv"))
    (logits,) = _run(model, image, [last.output[0]])
    written = {name: node for node in model.graph.node for name in node.output}
    for name in last.input[1:]:
        while name in written:  # a weight that is reshaped first
            name = written[name].input[0]
        values = next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == name)
        _set(model.graph, name, values * (LOGIT_DEVIATION / logits.std()))


def _run(model: onnx.ModelProto, inputs: dict[str, np.ndarray], tensors: list[str]) -> list[np.ndarray]:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, inputs)


def _set(graph: onnx.GraphProto, name: str, values: np.ndarray) -> None:
    tensor = next(tensor for tensor in graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
