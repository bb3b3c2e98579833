"""Models of one or a few operators, as text, and inputs for them: what converters of segments are tested with."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from small_models import parse

Array = np.ndarray[Any, Any]

X, XY = "float[2,4,6] x", "float[2,4,6] x, float[4,6] y"
IMAGE, ODD = "float[1,4,8,6] x", "float[1,4,7,9] x"
ELEMENTWISE = [
    *(f"{op}(x)" for op in ("Abs", "Atan", "Ceil", "Cos", "Erf", "Exp", "Floor", "Identity", "Neg", "Relu", "Round", "Sigmoid", "Sign")),
    *(f"{op}(x)" for op in ("Sin", "Softplus", "Softsign", "Tanh", "Elu", "LeakyRelu", "HardSigmoid", "HardSwish", "Mish")),
    "Elu <alpha = 0.3> (x)", "LeakyRelu <alpha = 0.3> (x)", "HardSigmoid <alpha = 0.3, beta = 0.4> (x)", "Gelu(x)",
    'Gelu <approximate = "tanh"> (x)', "Softmax(x)", "Softmax <axis = 1> (x)", "LogSoftmax <axis = 1> (x)",
]  # fmt: skip
# graph inputs whose names begin with c are constants; those that begin with p are positive
CASES = [
    *((X, f"z = {body}") for body in ELEMENTWISE),
    *((XY, f"z = {op}(x, y)") for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")),
    ("float[3,4] px, float[4] y", "z = Pow(px, y)"), ("float[3,4] px", "z = Sqrt(px)"), ("float[3,4] px", "z = Reciprocal(px)"),
    ("float[3,4] px", "z = Log(px)"), ("float[3,4] x", "z = Clip(x, low, high)"), ("float[3,4] x", "z = Clip(x, low)"),
    ("float[3,4] x", "z = Clip(x, , high)"), ("float[2,4,6] x, float[4,1] cs", "z = PRelu(x, cs)"),
    ("float[2,4,6] x, float[4,1] y", "b = Greater(x, y) z = Where(b, x, y)"),
    ("float[2,4,6] x", "i = Cast <to = 6> (x) z = Cast <to = 1> (i)"),
    ("float[4,1] x", "z = Expand(x, to_shape)"), ("float[4,3] x", "z = Tile(x, twice)"),
    ("float[2,3,4] x, float[4,5] y", "z = MatMul(x, y)"), ("float[2,3,4] x, float[4,5] cw", "z = MatMul(x, cw)"),
    ("float[3,4] x, float[4,5] cw", "z = Gemm(x, cw)"), ("float[3,4] x, float[5,4] cw, float[5] cb", "z = Gemm <transB = 1> (x, cw, cb)"),
    ("float[4,3] x, float[4,5] cw, float[3,5] cb", "z = Gemm <transA = 1, alpha = 0.5, beta = 2.0> (x, cw, cb)"),
    ("float[3,4] x, float[4,5] cw, float[1] cb", "z = Gemm <alpha = 0.5, beta = 3.0> (x, cw, cb)"),
    ("float[3,4] x, float[4,5] y, float[5] z0", "z = Gemm <beta = 0.5> (x, y, z0)"),
    ("float[2,4,6] x, float[6] cs, float[6] cb", "z = LayerNormalization <epsilon = 0.01> (x, cs, cb)"),
    ("float[2,4,6] x, float[4,6] cs", "z = LayerNormalization <axis = 1> (x, cs)"),
    ("float[2,4,6] x, float[6] s, float[6] b", "z = LayerNormalization(x, s, b)"),
    ("float[2,4,3,3] x, float[4] cs, float[4] cb", "z = InstanceNormalization(x, cs, cb)"),
    ("float[2,4,3,3] x, float[4] cs, float[4] cb, float[4] cm, float[4] cpv", "z = BatchNormalization(x, cs, cb, cm, cpv)"),
    ("float[2,4] x, float[4] cs, float[4] cb, float[4] cm, float[4] cpv", "z = BatchNormalization <epsilon = 0.1> (x, cs, cb, cm, cpv)"),
    *((X, f"z = {op} <keepdims = {k}> (x, axes1)") for op in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd") for k in (0, 1)),
    *((X, f"z = {op}(x, axes1)") for op in ("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp")),
    ("float[2,4] px", "z = ReduceLogSum(px, axes1)"), ("float[2,4] x", "z = ReduceSum <noop_with_empty_axes = 1> (x)"),
    (X, "z = ReduceMean(x)"), (X, "i = ArgMax <axis = 1> (x) z = Cast <to = 1> (i)"),
    (X, "i = ArgMin <axis = -1, keepdims = 0> (x) z = Cast <to = 1> (i)"),
    (ODD + ", float[6,4,3,3] cw, float[6] cb", "z = Conv <pads = [1, 0, 2, 1], strides = [2, 1]> (x, cw, cb)"),
    (ODD + ", float[8,2,3,2] cw", "z = Conv <group = 2, dilations = [2, 1]> (x, cw)"),
    (ODD + ", float[4,1,3,3] cw", 'z = Conv <group = 4, auto_pad = "SAME_UPPER", strides = [2, 2]> (x, cw)'),
    (ODD + ", float[4,4,2,2] cw", 'z = Conv <auto_pad = "SAME_LOWER"> (x, cw)'),
    ("float[1,4,9] x, float[6,4,3] cw", 'z = Conv <auto_pad = "VALID"> (x, cw)'),
    ("float[1,4,5,6] x, float[4,3,3,3] cw, float[3] cb", "z = ConvTranspose <strides = [2, 2], pads = [1, 0, 1, 0]> (x, cw, cb)"),
    ("float[1,4,5,6] x, float[4,2,2,2] cw", "z = ConvTranspose <group = 2> (x, cw)"),
    (ODD, "z = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1], strides = [2, 2]> (x)"),
    (ODD, "z = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1], count_include_pad = 1> (x)"),
    (ODD, "z = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x)"),
    (ODD, "z = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x)"),
    (IMAGE, "z = GlobalAveragePool(x)"), (IMAGE, "z = GlobalMaxPool(x)"), (IMAGE, "z = DepthToSpace <blocksize = 2> (x)"),
    (IMAGE, 'z = DepthToSpace <blocksize = 2, mode = "CRD"> (x)'),
    (IMAGE, 'z = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (x, , scales)'),
    (IMAGE, 'z = Resize <mode = "nearest"> (x, , scales)'),
    (IMAGE, 'z = Resize <mode = "linear"> (x, , , sizes)'),
    (IMAGE, 'z = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> (x, , , sizes)'),
    (IMAGE, 'z = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (x, , , sizes)'),
    (X, "z = Transpose(x)"), (X, "z = Transpose <perm = [1, 0, 2]> (x)"), (X, "z = Reshape(x, zero_minus)"), (X, "z = Flatten(x)"),
    (X, "z = Flatten <axis = -1> (x)"), ("float[1,3,1] x", "z = Squeeze(x)"), ("float[1,3,1] x", "z = Squeeze(x, last)"),
    ("float[3,4] x", "z = Unsqueeze(x, ends)"), (XY, "u = Unsqueeze(y, zero) z = Concat <axis = 0> (x, u)"),
    (X, "a, z = Split <axis = 1> (x, one_three)"), (X, "a, b, z = Split <axis = 2, num_outputs = 3> (x)"),
    (X, "z = Slice(x, starts, stops, axes12, steps)"), (X, "z = Slice(x, minus, least, last, minus)"),
    (X, "z = Gather <axis = 1> (x, picks)"), (X, "z = Gather <axis = 2> (x, one)"),
    ("float[5,4] x, int64[2,3] i", "z = Gather(x, i)"), ("float[3,4] x, int64[3,2] i", "z = GatherElements <axis = 1> (x, i)"),
    (IMAGE, "z = Pad(x, pads, three)"), (IMAGE, 'z = Pad <mode = "reflect"> (x, pads)'), (IMAGE, 'z = Pad <mode = "edge"> (x, pads)'),
    (X, "s = Shape(x) f = Cast <to = 1> (s) z = Add(f, half)"),
]  # fmt: skip
CONSTANTS: dict[str, Array] = {
    name: np.array(value, np.float32 if isinstance(np.array(value).flat[0], np.floating) else np.int64)
    for name, value in {
        "low": -0.5, "high": 0.7, "to_shape": [2, 1, 3], "twice": [2, 1], "axes1": [1], "scales": [1.0, 1.0, 2.0, 3.0],
        "sizes": [1, 4, 12, 9], "zero_minus": [0, -1], "last": [-1], "ends": [0, -1], "zero": [0], "one_three": [1, 3],
        "starts": [-3, 1], "stops": [2**62, -1], "axes12": [1, 2], "steps": [1, 2], "minus": [-1], "least": [-(2**62)],
        "picks": [[0, -1], [1, 1]], "one": 1, "pads": [0, 0, 1, 2, 0, 0, 2, 1], "three": 3.0, "two": [2], "half": [0.5],
        "depth": 5, "off_on": [-1.0, 2.0], "ten": 10.0, "three_whole": 3, "crop": [1, -2, -1, 3],
    }.items()
}  # fmt: skip


def model_of(inputs: str, body: str) -> onnx.ModelProto:
    """With the constants that the body names; shapes inferred, the output is z."""
    model = parse(f"g ({inputs}) => (float z) {{ {body} }}", opset=20)
    rng = np.random.default_rng(7)
    for value in [value for value in model.graph.input if value.name.startswith("c")]:
        data = rng.standard_normal([dim.dim_value for dim in value.type.tensor_type.shape.dim]).astype(np.float32)
        data = np.abs(data) + 0.5 if value.name.startswith("cp") else data
        model.graph.initializer.append(onnx.numpy_helper.from_array(data, value.name))
        model.graph.input.remove(value)
    named = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(CONSTANTS[name], name) for name in sorted(named & CONSTANTS.keys()))
    return inferred(model)


def inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """With all shapes, that of the output too."""
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def feed_of(model: onnx.ModelProto) -> dict[str, Array]:
    rng, feed = np.random.default_rng(3), {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type == onnx.TensorProto.INT64:
            feed[value.name] = rng.integers(-2, 3, shape)
        else:
            data = 2 * rng.standard_normal(shape).astype(np.float32)
            feed[value.name] = np.abs(data) + np.float32(0.1) if value.name.startswith("p") else data
    return feed


PACKED_CASES = [
    ("float[2,6] x", "int8[6,8] cw, float[8] cps, int8[8] cz", "w = DequantizeLinear <axis = 1> (cw, cps, cz) z = MatMul(x, w)"),
    ("float[2,6] x", "int8[6,8] cw, float[8] cps", "w = DequantizeLinear(cw, cps) z = Gemm <alpha = 0.5> (x, w)"),
    ("float[2,6] x", "uint8[8,6] cw, float cps, uint8 cz", "w = DequantizeLinear(cw, cps, cz) z = Gemm <transB = 1> (x, w)"),
    ("float[6,2] x", "uint8[8,6] cw, float cps, uint8 cz", "w = DequantizeLinear(cw, cps, cz) z = Gemm <transA = 1, transB = 1> (x, w)"),
    ("float[1,4,7,9] x", "int8[6,4,3,3] cw, float[6] cps", "w = DequantizeLinear <axis = 0> (cw, cps) z = Conv(x, w)"),
    ("float[1,4,5,6] x", "int8[4,3,3,3] cw, float[3] cps", "w = DequantizeLinear <axis = -3> (cw, cps) z = ConvTranspose(x, w)"),
    ("int64[2,3] i", "int8[5,8] cw, float[5] cps", "w = DequantizeLinear <axis = 0> (cw, cps) z = Gather(w, i)"),
    ("float[2,8] x", "int4[8,6] cw, float[6] cps, int4[6] cz", "w = DequantizeLinear(cw, cps, cz) z = MatMul(x, w)"),
    ("float[2,8] x", "int4[8,6] cw, float[2,6] cps", "w = DequantizeLinear <axis = 0, block_size = 4> (cw, cps) z = MatMul(x, w)"),
    ("float[2,8] x", "uint4[8,6] cw, float[2,6] cps, uint4[2,6] cz",
     "w = DequantizeLinear <axis = 0, block_size = 4> (cw, cps, cz) z = Gemm <alpha = 2.0> (x, w)"),
    ("float[2,8] x", "int8[6,8] cw, float[6,2] cps", "w = DequantizeLinear <block_size = 4> (cw, cps) z = Gemm <transB = 1> (x, w)"),
    ("float[2,6] x", "float[6,8] cw, int32[8] cq, float cps", "b = DequantizeLinear(cq, cps) z = Gemm(x, cw, b)"),
]  # fmt: skip


def packed_model(inputs: str, constants: str, body: str) -> onnx.ModelProto:
    model = parse(f"g ({inputs}, {constants}) => (float z) {{ {body} }}", opset=21)
    rng = np.random.default_rng(5)
    for value in [value for value in model.graph.input if value.name.startswith("c")]:
        kind, dims = value.type.tensor_type.elem_type, [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        name = onnx.TensorProto.DataType.Name(kind).lower()
        least, most = (-8, 8) if name == "int4" else (0, 16) if name == "uint4" else (0, 256) if name == "uint8" else (-128, 128)
        data = 0.01 + rng.random(dims) if name == "float" else rng.integers(least, most, dims)
        model.graph.initializer.append(onnx.helper.make_tensor(value.name, kind, dims, np.reshape(data, -1).tolist()))
        model.graph.input.remove(value)
    return inferred(model)
