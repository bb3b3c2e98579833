"""A small net whose operators lose differently in 8 bits, and samples of it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autoglmc.compiler.precision.ranges import ranges_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.scales import Range


def network(seed: int, channels: int = 16) -> onnx.ModelProto:
    """Convolutions with a residual, one of which has a few large weights that 8 bits hold badly, and a classifier."""
    random = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}

    def weight(name: str, *shape: int) -> str:
        values = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        if random.random() < 0.3:
            values.reshape(-1)[:: max(1, values.size // 5)] *= 40
        weights[name] = values.astype(np.float32)
        return name

    nodes = [
        helper.make_node("Conv", ["x", weight("w0", channels, 3, 3, 3)], ["a"], "c0", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "r0"),
        helper.make_node("Conv", ["b", weight("w1", channels, channels, 3, 3)], ["c"], "c1", pads=[1] * 4),
        helper.make_node("Add", ["b", "c"], ["d"], "add"),
        helper.make_node("Sigmoid", ["d"], ["e"], "s"),
        helper.make_node("Conv", ["e", weight("w2", 2 * channels, channels, 1, 1)], ["f"], "c2"),
        helper.make_node("GlobalAveragePool", ["f"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["h"], "flat"),
        helper.make_node("Gemm", ["h", weight("w3", 2 * channels, 10)], ["y"], "fc"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", 1, [1, 3, 24, 24])], [value("y", 1, [1, 10])], [numpy_helper.from_array(w, n) for n, w in weights.items()]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def samples(seed: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed + 1000)
    return [{"x": random.normal(size=(1, 3, 24, 24)).astype(np.float32)} for _ in range(8)]


def ranges(model: onnx.ModelProto, seed: int) -> dict[str, Range]:
    return ranges_of(Graph(model), lambda: samples(seed))


def network_copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
