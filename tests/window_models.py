"""Convolutions, pools and resizes at random, with constant weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

Shapes = dict[str, tuple[int, ...]]


def model_of(kind: str, inputs: Shapes, constants: dict[str, Any], order: list[str], **attributes: Any) -> onnx.ModelProto:
    nodes = [helper.make_node(kind, order, ["y"], **attributes)]
    given = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", given, [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


FEW = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PADDING = st.one_of(
    st.lists(st.integers(0, 2), min_size=4, max_size=4).map(lambda pads: {"pads": pads}),
    st.sampled_from(["VALID", "SAME_UPPER", "SAME_LOWER"]).map(lambda mode: {"auto_pad": mode}),
)
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIZES = st.tuples(st.integers(3, 9), st.integers(3, 9))
CHANNELS = st.sampled_from([(1, 4, 6), (2, 4, 6), (4, 4, 4), (4, 4, 8), (1, 1, 3)])
RULES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")


def convolution(size: Any, kernel: Any, strides: Any, dilations: Any, padding: Any, channels: Any, batch: int) -> onnx.ModelProto:
    """channels: groups, in, out."""
    group, c_in, c_out = channels
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((c_out, c_in // group, *kernel)).astype(np.float32), "b": rng.random(c_out).astype(np.float32)}
    assume("auto_pad" not in padding or dilations == (1, 1))  # onnxruntime's SAME and dilations do not go together
    options = {"strides": strides, "dilations": dilations, "group": group, **padding}
    return model_of("Conv", {"x": (batch, c_in, *size)}, weights, ["x", "w", "b"], **options)


def transposed_convolution(size: Any, kernel: Any, strides: Any, pads: Any, group: int, extra: Any) -> onnx.ModelProto:
    """extra: output_padding + 1."""
    weights = {"w": np.random.default_rng(0).standard_normal((4, 3, *kernel)).astype(np.float32)}
    more = [e - 1 for e in extra]
    assume(all(e < s for e, s in zip(more, strides, strict=True)))
    options = {"strides": strides, "pads": pads, "group": group, "output_padding": more}
    return model_of("ConvTranspose", {"x": (1, 4, *size)}, weights, ["x", "w"], **options)


def pool(kind: str, size: Any, kernel: Any, strides: Any, padding: Any, ceil: bool, counted: bool) -> onnx.ModelProto:
    """MaxPool or AveragePool."""
    assume("pads" not in padding or all(p < k for p, k in zip(padding["pads"], (*kernel, *kernel), strict=True)))
    options: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, **padding}
    options |= {"ceil_mode": int(ceil)} if "pads" in padding else {}
    options |= {"count_include_pad": int(counted)} if kind == "AveragePool" and "pads" in padding else {}
    return model_of(kind, {"x": (1, 3, *size)}, {}, ["x"], **options)


def resize(size: Any, target: Any, rule: str, mode: str, rounding: str) -> onnx.ModelProto:
    """The last two axes, by sizes."""
    sizes = np.array([1, 2, *target], np.int64)
    options = {"mode": mode, "coordinate_transformation_mode": rule, "nearest_mode": rounding}
    return model_of("Resize", {"x": (1, 2, *size)}, {"s": sizes}, ["x", "", "", "s"], **options)
