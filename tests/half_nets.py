"""Small networks in fp32 with random weights, spelled as PyTorch's exporter spells them (opset 17), by a builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]


class Net:
    """A graph under construction: every method adds operators and returns the name of their result."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"{kind.lower()}_{len(self._nodes)}" + (f"_{k}" if k else "") for k in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        self._weights.append(numpy_helper.from_array(np.asarray(value, dtype), f"w_{len(self._weights)}"))
        return self._weights[-1].name

    def normal(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> str:
        return self.const(mean + scale * self._random.standard_normal(shape))

    def conv(self, x: str, c_in: int, c_out: int, k: int = 3, stride: int = 1, group: int = 1, bias: bool = True) -> str:
        weight = self.normal(c_out, c_in // group, k, k, scale=(1.6 / (c_in // group * k * k)) ** 0.5)
        more = (self.normal(c_out, scale=0.1),) if bias else ()
        shape: dict[str, Any] = {"kernel_shape": [k, k], "strides": [stride] * 2, "pads": [k // 2] * 4, "dilations": [1, 1]}
        return self.op("Conv", x, weight, *more, group=group, **shape)

    def batch_norm(self, x: str, c: int) -> str:
        scale, bias, mean = self.normal(c, scale=0.2, mean=1.0), self.normal(c, scale=0.2), self.normal(c, scale=0.2)
        return self.op("BatchNormalization", x, scale, bias, mean, self.const(self._random.uniform(0.5, 1.5, c)), epsilon=1e-5)

    def linear(self, x: str, c_in: int, c_out: int) -> str:
        """Of a tensor of rank 3, as exported: MatMul and Add."""
        product = self.op("MatMul", x, self.normal(c_in, c_out, scale=c_in**-0.5))
        return self.op("Add", self.normal(c_out, scale=0.1), product)

    def gemm(self, x: str, c_in: int, c_out: int) -> str:
        return self.op("Gemm", x, self.normal(c_out, c_in, scale=c_in**-0.5), self.normal(c_out, scale=0.1), transB=1)

    def layer_norm(self, x: str, c: int, eps: float = 1e-5) -> str:
        return self.op("LayerNormalization", x, self.normal(c, scale=0.1, mean=1.0), self.normal(c, scale=0.1), axis=-1, epsilon=eps)

    def plain_layer_norm(self, x: str, c: int) -> str:
        """As exported below opset 17."""
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", centred, self.const(2.0)), axes=[-1])
        normal = self.op("Div", centred, self.op("Sqrt", self.op("Add", variance, self.const(1e-5))))
        return self.op("Add", self.op("Mul", normal, self.normal(c, scale=0.1, mean=1.0)), self.normal(c, scale=0.1))

    def gelu(self, x: str) -> str:
        erf = self.op("Erf", self.op("Div", x, self.const(2**0.5)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.const(1.0))), self.const(0.5))

    def tanh_gelu(self, x: str) -> str:
        cube = self.op("Mul", self.const(0.044715), self.op("Pow", x, self.const(3.0)))
        inner = self.op("Mul", self.const((2 / np.pi) ** 0.5), self.op("Add", x, cube))
        return self.op("Mul", self.op("Mul", self.const(0.5), x), self.op("Add", self.op("Tanh", inner), self.const(1.0)))

    def silu(self, x: str) -> str:
        return self.op("Mul", x, self.op("Sigmoid", x))

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.const(shape, np.int64))

    def heads(self, x: str, length: int, heads: int, width: int, last: Sequence[int] = (0, 2, 1, 3)) -> str:
        return self.op("Transpose", self.reshape(x, 1, length, heads, width), perm=list(last))

    def attention(self, x: str, length: int, c: int, heads: int) -> str:
        width = c // heads
        query, value = (self.heads(self.linear(x, c, c), length, heads, width) for _ in range(2))
        key = self.heads(self.linear(x, c, c), length, heads, width, (0, 2, 3, 1))
        scores = self.op("Div", self.op("MatMul", query, key), self.const(width**0.5))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        return self.linear(self.reshape(self.op("Transpose", mixed, perm=[0, 2, 1, 3]), 1, length, c), c, c)

    def squeeze_excite(self, x: str, c: int) -> str:
        inner = self.op("Relu", self.conv(self.op("GlobalAveragePool", x), c, c // 4, 1))
        return self.op("Mul", x, self.op("HardSigmoid", self.conv(inner, c // 4, c, 1), alpha=1 / 6, beta=0.5))

    def model(self, inputs: Mapping[str, Sequence[int]], **outputs: str) -> onnx.ModelProto:
        """outputs: name of the graph's output to name of the tensor."""
        nodes = [*self._nodes, *(helper.make_node("Identity", [tensor], [name]) for name, tensor in outputs.items())]
        given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(nodes, "net", given, made, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tests")
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def vit(c: int = 64, blocks: int = 2, size: int = 32) -> onnx.ModelProto:
    """Patches of 8 x 8 of a square image, a class token, blocks that norm first, logits of ten classes."""
    net, patches_of = Net(1), (size // 8) ** 2
    length = patches_of + 1
    weight, bias = net.normal(c, 3, 8, 8, scale=192**-0.5), net.normal(c, scale=0.1)
    patches = net.op("Conv", "x", weight, bias, kernel_shape=[8, 8], strides=[8, 8], pads=[0] * 4)
    tokens = net.op("Transpose", net.reshape(patches, 1, c, patches_of), perm=[0, 2, 1])
    x = net.op("Add", net.op("Concat", net.normal(1, 1, c), tokens, axis=1), net.normal(1, length, c, scale=0.2))
    for _ in range(blocks):
        x = net.op("Add", x, net.attention(net.layer_norm(x, c), length, c, 4))
        x = net.op("Add", x, net.linear(net.gelu(net.linear(net.layer_norm(x, c), c, 4 * c)), 4 * c, c))
    first = net.op("Gather", net.layer_norm(x, c), net.const(0, np.int64), axis=1)
    return net.model({"x": (1, 3, size, size)}, logits=net.gemm(first, c, 10))


def yolo(wide: int = 1, size: int = 64) -> onnx.ModelProto:
    """A detector's backbone with SiLU, a split block, a pyramid by Resize, and one output of boxes (0..64) and scores (0..1).

    wide: how many times 16 channels the first layer has."""
    net, cells = Net(2), (size // 4) ** 2

    def block(x: str, c_in: int, c_out: int, k: int = 3, stride: int = 1) -> str:
        return net.silu(net.conv(x, c_in, c_out, k, stride))

    n = 16 * wide
    x = block(block("x", 3, n, stride=2), n, 2 * n, stride=2)
    left = net.op("Split", block(x, 2 * n, 2 * n, 1), net.const([n, n], np.int64), outputs=2, axis=1)
    right = f"{left}_1"
    inner = net.op("Add", right, block(block(right, n, n), n, n))
    fine = block(net.op("Concat", left, right, inner, axis=1), 3 * n, 2 * n, 1)
    coarse = block(fine, 2 * n, 4 * n, stride=2)
    pooled = net.op("MaxPool", coarse, kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4)
    coarse = block(net.op("Concat", coarse, pooled, axis=1), 8 * n, 2 * n, 1)
    twice = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    up = net.op("Resize", coarse, "", net.const([1, 1, 2, 2]), **twice)
    x = block(net.op("Concat", up, fine, axis=1), 4 * n, 2 * n)
    boxes = net.op("Mul", net.op("Sigmoid", net.conv(x, 2 * n, 4, 1)), net.const(64.0))
    scores = net.op("Sigmoid", net.conv(x, 2 * n, 8, 1))
    joined = net.op("Concat", net.reshape(boxes, 1, 4, cells), net.reshape(scores, 1, 8, cells), axis=1)
    return net.model({"x": (1, 3, size, size)}, detections=joined)


def cnn_se() -> onnx.ModelProto:
    """Depthwise and pointwise convolutions with batch norm, HardSwish and squeeze-and-excitation."""
    net = Net(3)
    x = net.op("HardSwish", net.batch_norm(net.conv("x", 3, 16, stride=2, bias=False), 16))
    for stride in (1, 2):
        inner = net.op("HardSwish", net.batch_norm(net.conv(x, 16, 32, 1, bias=False), 32))
        inner = net.op("HardSwish", net.batch_norm(net.conv(inner, 32, 32, 3, stride, group=32, bias=False), 32))
        inner = net.batch_norm(net.conv(net.squeeze_excite(inner, 32), 32, 16, 1, bias=False), 16)
        x = net.op("Add", x, inner) if stride == 1 else inner
    return net.model({"x": (1, 3, 32, 32)}, logits=net.gemm(net.op("Flatten", net.op("GlobalAveragePool", x)), 16, 10))


def resnet() -> onnx.ModelProto:
    net = Net(4)
    x = net.op("Relu", net.batch_norm(net.conv("x", 3, 16, bias=False), 16))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for _ in range(3):
        inner = net.op("Relu", net.batch_norm(net.conv(x, 16, 16, bias=False), 16))
        x = net.op("Relu", net.op("Add", net.batch_norm(net.conv(inner, 16, 16, bias=False), 16), x))
    return net.model({"x": (1, 3, 32, 32)}, logits=net.gemm(net.op("Flatten", net.op("GlobalAveragePool", x)), 16, 10))


def mlp_gelu() -> onnx.ModelProto:
    net = Net(5)
    x = net.gelu(net.gemm("x", 32, 64))
    return net.model({"x": (4, 32)}, y=net.gemm(net.tanh_gelu(net.gemm(x, 64, 64)), 64, 8))


def mixer() -> onnx.ModelProto:
    """An MLP-Mixer: products over tokens and over channels, norms spelled out."""
    net, x = Net(6), "x"
    for _ in range(2):
        across = net.op("Transpose", net.plain_layer_norm(x, 32), perm=[0, 2, 1])
        across = net.linear(net.gelu(net.linear(across, 16, 32)), 32, 16)
        x = net.op("Add", x, net.op("Transpose", across, perm=[0, 2, 1]))
        x = net.op("Add", x, net.linear(net.gelu(net.linear(net.plain_layer_norm(x, 32), 32, 64)), 64, 32))
    return net.model({"x": (1, 16, 32)}, y=x)


def convnext() -> onnx.ModelProto:
    net = Net(7)
    x = net.conv("x", 3, 32, 3, 2)
    for _ in range(2):
        inner = net.op("Transpose", net.conv(x, 32, 32, 7, group=32), perm=[0, 2, 3, 1])
        inner = net.linear(net.gelu(net.linear(net.layer_norm(inner, 32, 1e-6), 32, 64)), 64, 32)
        inner = net.op("Mul", net.normal(32, scale=0.3), inner)
        x = net.op("Add", x, net.op("Transpose", inner, perm=[0, 3, 1, 2]))
    return net.model({"x": (1, 3, 16, 16)}, features=x)


def unet() -> onnx.ModelProto:
    """Down, up by a transposed convolution, a skip, instance norm, LeakyRelu; a mask of values 0..1."""
    net = Net(8)

    def block(x: str, c_in: int, c_out: int) -> str:
        normal = net.op(
            "InstanceNormalization", net.conv(x, c_in, c_out), net.normal(c_out, scale=0.1, mean=1.0), net.normal(c_out, scale=0.1)
        )
        return net.op("LeakyRelu", normal, alpha=0.01)

    top = block("x", 1, 8)
    low = block(net.op("MaxPool", top, kernel_shape=[2, 2], strides=[2, 2]), 8, 16)
    up = net.op("ConvTranspose", low, net.normal(16, 8, 2, 2, scale=0.2), net.normal(8, scale=0.1), kernel_shape=[2, 2], strides=[2, 2])
    return net.model({"x": (1, 1, 32, 32)}, mask=net.op("Sigmoid", net.conv(block(net.op("Concat", top, up, axis=1), 16, 8), 8, 1, 1)))


def decoder() -> onnx.ModelProto:
    """A causal block with RMS norm in the spelling of exporters (Pow, ReduceMean, Add, Sqrt, Div), SwiGLU and a constant mask."""
    net, c, length, heads, width = Net(9), 32, 12, 4, 8

    def rms(x: str) -> str:
        mean = net.op("ReduceMean", net.op("Pow", x, net.const(2.0)), axes=[-1])
        scale = net.op("Div", net.const(1.0), net.op("Sqrt", net.op("Add", mean, net.const(1e-5))))
        return net.op("Mul", net.normal(c, scale=0.1, mean=1.0), net.op("Mul", x, scale))

    x = "x"
    closed = np.triu(np.full((length, length), np.finfo(np.float32).min, np.float32), 1)[None, None]
    for _ in range(2):
        normal = rms(x)
        query, value = (net.heads(net.op("MatMul", normal, net.normal(c, c, scale=c**-0.5)), length, heads, width) for _ in range(2))
        key = net.heads(net.op("MatMul", normal, net.normal(c, c, scale=c**-0.5)), length, heads, width, (0, 2, 3, 1))
        scores = net.op("Mul", net.op("MatMul", query, key), net.const(width**-0.5))
        weights = net.op("Softmax", net.op("Add", scores, net.const(closed)), axis=-1)
        mixed = net.reshape(net.op("Transpose", net.op("MatMul", weights, value), perm=[0, 2, 1, 3]), 1, length, c)
        x = net.op("Add", x, net.op("MatMul", mixed, net.normal(c, c, scale=c**-0.5)))
        normal = rms(x)
        gate, wide = (net.op("MatMul", normal, net.normal(c, 64, scale=c**-0.5)) for _ in range(2))
        x = net.op("Add", x, net.op("MatMul", net.op("Mul", net.silu(gate), wide), net.normal(64, c, scale=0.125)))
    return net.model({"x": (1, length, c)}, logits=net.op("MatMul", rms(x), net.normal(c, 48, scale=c**-0.5)))


def keyword() -> onnx.ModelProto:
    """Convolutions over time, Clip(0, 6), mean over time and log-probabilities of words."""
    net = Net(10)
    x = net.op("Unsqueeze", "x", net.const([2], np.int64))
    for c_in, c_out in ((20, 32), (32, 32)):
        x = net.op("Clip", net.batch_norm(net.conv(x, c_in, c_out, 3), c_out), net.const(0.0), net.const(6.0))
    return net.model(
        {"x": (1, 20, 50)}, words=net.op("LogSoftmax", net.gemm(net.op("ReduceMean", x, axes=[2, 3], keepdims=0), 32, 12), axis=-1)
    )


NETS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one for one in (vit, yolo, cnn_se, resnet, mlp_gelu, mixer, convnext, unet, decoder, keyword)
}
WIDE: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "vit_wide": lambda: vit(c=192, blocks=3, size=96),
    "yolo_wide": lambda: yolo(wide=2, size=160),
}
"""Large enough that an NPU's first dispatch pays."""
