"""Random small models of the kinds that onnxruntime's graph optimiser, or onnx's inference of sizes, gets wrong (onnxruntime 1.32)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autoglmc.compiler.devices.cpu_session import open_session

Make = Callable[[random.Random, np.random.Generator], onnx.ModelProto]


def relu_clip(draw: random.Random, rng: np.random.Generator, dtype: str = "") -> onnx.ModelProto:
    """FuseReluClip throws for every dtype but fp32 and fp16."""
    dtype = dtype or draw.choice(["int32", "int8", "float64", "float32", "float16"])
    low = draw.choice([-2, 0, 1])
    bounds = {"lo": np.array(low, dtype), "hi": np.array(low + draw.randint(2, 9), dtype)}
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Clip", ["r", "lo", "hi"], ["y"])]
    return model(nodes, [draw.randint(1, 4), draw.randint(2, 6)], bounds, dtype=dtype, opset=draw.choice([14, 17, 18]))


def layer_norm(draw: random.Random, rng: np.random.Generator, keep: int | None = None) -> onnx.ModelProto:
    """LayerNormFusionL1 takes a mean with keepdims=0 for one with keepdims=1."""
    size, keep = draw.randint(3, 6), draw.randint(0, 1) if keep is None else keep
    axes = [draw.choice([-1, 2])]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=axes, keepdims=keep),
        helper.make_node("Sub", ["x", "m"], ["d"]),
        helper.make_node("Pow", ["d", "two"], ["p"]),
        helper.make_node("ReduceMean", ["p"], ["v"], axes=axes, keepdims=keep),
        helper.make_node("Add", ["v", "eps"], ["e"]),
        helper.make_node("Sqrt", ["e"], ["s"]),
        helper.make_node("Div", ["d", "s"], ["n"]),
        helper.make_node("Mul", ["n", "g"], ["ng"]),
        helper.make_node("Add", ["ng", "b"], ["y"]),
    ]
    scale = {name: rng.normal(size=size).astype("f") for name in ("g", "b")}
    return model(nodes, [size, size, size], {"two": np.array(2, "f"), "eps": np.array(1e-5, "f"), **scale}, opset=17)


def quantised_product(draw: random.Random, rng: np.random.Generator, factor: float = 0.0) -> onnx.ModelProto:
    """QDQ Gemm and MatMul + Add: the bias is taken for one whose scale is that of the product."""
    operator, rows, columns = draw.choice(["Gemm", "MatMul", "Conv"]), draw.randint(2, 5), draw.randint(3, 6)
    factor = factor or draw.choice([1.0, 10.0, 0.1, 3.0])
    size = [draw.randint(2, 4), rows] if operator != "Conv" else [1, rows, 5, 6]
    weight = rng.integers(-9, 9, (rows, columns) if operator != "Conv" else (columns, rows, 3, 3)).astype(np.int8)
    product = {
        "Gemm": [helper.make_node("Gemm", ["xd", "wd", "bd"], ["g"])],
        "MatMul": [helper.make_node("MatMul", ["xd", "wd"], ["mm"]), helper.make_node("Add", ["mm", "bd"], ["g"])],
        "Conv": [helper.make_node("Conv", ["xd", "wd", "bd"], ["g"])],
    }[operator]
    bias = rng.integers(-400, 400, columns).astype(np.int32)
    values = {"w": weight, "ws": np.array(0.02, "f"), "b": bias, "bs": np.array(0.001 * factor, "f"), **BORDER}
    return model([*QUANTISE, WEIGHT, helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"]), *product, *REQUANTISE], size, values)


def quantised_convolution(draw: random.Random, rng: np.random.Generator, axis: int | None = None) -> onnx.ModelProto:
    """QDQ Conv whose weight has a scale along another axis than 0, which QLinearConv does not know."""
    channels = draw.randint(3, 5)
    axis = draw.choice([0, 1, -4, -3]) if axis is None else axis
    weight = rng.integers(-9, 9, (channels, channels, 3, 3)).astype(np.int8)
    scales = {"ws": np.linspace(0.005, 0.05, channels).astype("f"), "zw": np.zeros(channels, np.int8)}
    dequantise = helper.make_node("DequantizeLinear", ["w", "ws", "zw"], ["wd"], axis=axis)
    nodes = [*QUANTISE, dequantise, helper.make_node("Conv", ["xd", "wd"], ["g"]), *REQUANTISE]
    return model(nodes, [1, channels, 6, 6], {"w": weight, **scales, **BORDER})


def pool(draw: random.Random, rng: np.random.Generator) -> onnx.ModelProto:
    """Before opset 22 onnx counts a window that would begin in the padding."""
    kernel, stride = draw.randint(2, 3), draw.randint(2, 3)
    pads = draw.choice([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]])
    given = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads, "ceil_mode": 1}
    node = helper.make_node(draw.choice(["MaxPool", "AveragePool", "LpPool"]), ["x"], ["y"], **given)
    return model([node], [1, 2, draw.randint(6, 8), draw.randint(6, 8)], {}, opset=19)


def transposed_convolution(draw: random.Random, rng: np.random.Generator) -> onnx.ModelProto:
    """onnx adds output_padding to a size that auto_pad already says."""
    pad, stride = draw.choice(["SAME_UPPER", "SAME_LOWER"]), [draw.randint(2, 3), draw.randint(2, 3)]
    node = helper.make_node("ConvTranspose", ["x", "w"], ["c"], auto_pad=pad, strides=stride, output_padding=[1, draw.randint(0, 1)])
    return model([node, helper.make_node("Relu", ["c"], ["y"])], [1, 2, 5, 4], {"w": rng.normal(size=(2, 3, 3, 3)).astype("f")})


FAMILIES: Mapping[str, Make] = {
    make.__name__: make for make in (relu_clip, layer_norm, quantised_product, quantised_convolution, pool, transposed_convolution)
}
BORDER = {"xs": np.array(0.05, "f"), "zp": np.array(0, np.int8), "ys": np.array(0.07, "f")}
QUANTISE = [helper.make_node("QuantizeLinear", ["x", "xs", "zp"], ["xq"]), helper.make_node("DequantizeLinear", ["xq", "xs", "zp"], ["xd"])]
WEIGHT = helper.make_node("DequantizeLinear", ["w", "ws", "zp"], ["wd"])
REQUANTISE = [
    helper.make_node("QuantizeLinear", ["g", "ys", "zp"], ["yq"]),
    helper.make_node("DequantizeLinear", ["yq", "ys", "zp"], ["y"]),
]


def random_model(family: str, seed: int) -> onnx.ModelProto:
    return FAMILIES[family](random.Random(f"{family} {seed}"), np.random.default_rng(seed))


def model(
    nodes: Sequence[onnx.NodeProto], size: Sequence[int], weights: Mapping[str, np.ndarray], *, dtype: str = "float32", opset: int = 17
) -> onnx.ModelProto:
    """With the input x, and the output y in the shape that onnxruntime computes."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x, y = helper.make_tensor_value_info("x", element, size), helper.make_tensor_value_info("y", element, None)
    made = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "g", [x], [y], made)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for length in right(whole)["y"].shape:
        whole.graph.output[0].type.tensor_type.shape.dim.add().dim_value = length
    return whole


def feed(whole: onnx.ModelProto, seed: int = 5) -> dict[str, np.ndarray]:
    kind = whole.graph.input[0].type.tensor_type
    values = np.random.default_rng(seed).normal(size=[dim.dim_value for dim in kind.shape.dim]) * 5
    return {"x": values.astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))}


def right(whole: onnx.ModelProto, values: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Of onnxruntime without optimisations."""
    return {"y": open_session(whole.SerializeToString(), optimise=False).run(["y"], dict(values or feed(whole)))[0]}
