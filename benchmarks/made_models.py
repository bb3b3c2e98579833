"""Models that benchmarks and tests make themselves, in spellings that public model zoos rarely have. Weights come from a seed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from seed_weights import seed_weights

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


class Writer:
    """Nodes and weights of one model, each in the order it is asked for."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, shape: Sequence[int]) -> str:
        """Normal, scaled so that what a layer writes is about as large as what it reads."""
        inputs = int(np.prod(shape[1:]))
        return self.constant((self.generator.standard_normal(shape) * (2 / inputs) ** 0.5).astype(np.float32))

    def op(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"{operator.lower()}_{len(self.nodes)}", **attributes))
        return name

    def model(self, x: Sequence[int], y: str, shape: Sequence[int], opset: int = 17) -> onnx.ModelProto:
        self.nodes[-1].output[0] = "y"
        assert y == f"t{len(self.nodes) - 1}"
        graph = helper.make_graph(
            self.nodes,
            "made",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


class ChannelsLast(Writer):
    """Layers on N H W C, as tf2onnx writes them before its optimiser: what ONNX has for N C H W only stands between two Transposes."""

    def wrapped(self, operator: str, x: str, *weights: str, **attributes: object) -> str:
        inner = self.op(operator, self.op("Transpose", x, perm=TO_NCHW), *weights, **attributes)
        return self.op("Transpose", inner, perm=TO_NHWC)

    def convolution(self, x: str, into: int, out: int, kernel: int, stride: int = 1) -> str:
        """A strided one is padded by an operator of its own; bias and normalisation follow as in Keras."""
        pads = [(kernel - 1) // 2] * 4
        if stride > 1 and kernel > 1:
            edge = pads[0]
            x, pads = self.op("Pad", x, self.constant(np.array([0, edge, edge, 0, 0, edge, edge, 0]))), [0] * 4
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        y = self.wrapped("Conv", x, self.weight((out, into, kernel, kernel)), **attributes)
        return self.normalised(self.op("Add", y, self.channels(out, -0.1, 0.1)), out)

    def normalised(self, x: str, channels: int) -> str:
        statistics = [self.channels(channels, 0.5, 1.5), self.channels(channels, -0.1, 0.1), self.channels(channels, -0.1, 0.1)]
        return self.wrapped("BatchNormalization", x, *statistics, self.channels(channels, 0.5, 1.5), epsilon=1e-3)

    def channels(self, count: int, low: float, high: float) -> str:
        return self.constant(self.generator.uniform(low, high, count).astype(np.float32))

    def block(self, x: str, into: int, inner: int, out: int, stride: int) -> str:
        """A bottleneck; the shortcut has a convolution where it cannot be the input itself."""
        short = x if into == out and stride == 1 else self.convolution(x, into, out, 1, stride)
        y = self.op("Relu", self.convolution(x, into, inner, 1, stride))
        y = self.op("Relu", self.convolution(y, inner, inner, 3))
        return self.op("Relu", self.op("Add", self.convolution(y, inner, out, 1), short))


def nhwc_resnet(seed: int, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 16, size: int = 64, classes: int = 100) -> onnx.ModelProto:
    """A residual network of bottlenecks in N H W C (width 64 and size 224 would be ResNet-50): every Conv, BatchNormalization and MaxPool
    between Transposes, Pad, Add, Relu, Concat and the mean over the plane on N H W C. Input x [1, size, size, 3], output y [1, classes]."""
    w = ChannelsLast(seed)
    y = w.op("Relu", w.convolution("x", 3, width, 7, 2))
    y = w.op("Pad", y, w.constant(np.array([0, 1, 1, 0, 0, 1, 1, 0])))
    y, channels = w.wrapped("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2]), width
    for stage, count in enumerate(blocks):
        inner = width << stage
        for k in range(count):
            y = w.block(y, channels, inner, 4 * inner, 2 if k == 0 and stage > 0 else 1)
            channels = 4 * inner
    y = w.op("Concat", y, w.wrapped("AveragePool", y, kernel_shape=[3, 3], pads=[1] * 4), axis=3)
    y = w.op("ReduceMean", y, axes=[1, 2], keepdims=0)
    dense = w.constant((w.generator.standard_normal((2 * channels, classes)) / channels**0.5).astype(np.float32))
    y = w.op("Softmax", w.op("Add", w.op("MatMul", y, dense), w.channels(classes, -0.1, 0.1)), axis=-1)
    return w.model((1, size, size, 3), y, (1, classes))


class Detector(Writer):
    """Layers on N C H W as PyTorch's exporter writes a YOLO: Swish as x·Sigmoid(x), normalisation folded into the convolutions."""

    def layer(self, x: str, into: int, out: int, kernel: int = 1, stride: int = 1) -> str:
        weights = self.weight((out, into, kernel, kernel)), self.constant(np.zeros(out, np.float32))
        y = self.op("Conv", x, *weights, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)
        return self.op("Mul", y, self.op("Sigmoid", y))

    def split_block(self, x: str, width: int, depth: int) -> str:
        """Half of the channels go through `depth` residual layers; everything met on the way is joined."""
        half = width // 2
        y = self.layer(x, width, width)
        starts = [self.constant(np.array([k * half])) for k in range(3)]
        parts = [self.op("Slice", y, starts[k], starts[k + 1], self.constant(np.array([1]))) for k in range(2)]
        for _ in range(depth):
            inner = self.layer(self.layer(parts[-1], half, half, 3), half, half, 3)
            parts.append(self.op("Add", parts[-1], inner))
        return self.layer(self.op("Concat", *parts, axis=1), half * len(parts), width)

    def pyramid_pool(self, x: str, width: int) -> str:
        parts = [self.layer(x, width, width // 2)]
        for _ in range(3):
            parts.append(self.op("MaxPool", parts[-1], kernel_shape=[5, 5], pads=[2] * 4))
        return self.layer(self.op("Concat", *parts, axis=1), 2 * width, width)

    def twice(self, x: str) -> str:
        return self.op("Resize", x, "", self.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")  # fmt: skip

    def head(self, x: str, width: int, classes: int, bins: int, cells: int) -> tuple[str, str]:
        """Distributions over the distances to the four sides, and classes, [1, …, cells]."""
        found = []
        for out in (4 * bins, classes):
            y = self.layer(self.layer(x, width, width, 3), width, width, 3)
            y = self.op("Conv", y, self.weight((out, width, 1, 1)), self.constant(np.zeros(out, np.float32)), kernel_shape=[1, 1])
            found.append(self.op("Reshape", y, self.constant(np.array([1, out, cells]))))
        return found[0], found[1]


def yolo_like(seed: int, size: int = 128, width: int = 32, classes: int = 20, bins: int = 8) -> onnx.ModelProto:
    """A detector of three scales: backbone, two ways through a pyramid, heads, boxes from distributions over distances."""
    net = Detector(seed)
    x, scales = net.layer(net.layer("x", 3, width // 2, 3, 2), width // 2, width, 3, 2), []
    for level in range(3):
        x = net.split_block(net.layer(x, width << level, width << level + 1, 3, 2), width << level + 1, 1)
        scales.append(x)
    top = net.pyramid_pool(scales[2], width * 8)
    middle = net.layer(net.op("Concat", net.twice(top), scales[1], axis=1), width * 12, width * 4)
    low = net.layer(net.op("Concat", net.twice(middle), scales[0], axis=1), width * 6, width * 2)
    middle = net.layer(net.op("Concat", net.layer(low, width * 2, width * 2, 3, 2), middle, axis=1), width * 6, width * 4)
    sides = [size // 8, size // 16]
    heads = [net.head(low, width * 2, classes, bins, sides[0] ** 2), net.head(middle, width * 4, classes, bins, sides[1] ** 2)]
    cells = sum(side**2 for side in sides)
    boxes, kinds = (net.op("Concat", *part, axis=2) for part in zip(*heads, strict=True))
    split = net.op("Transpose", net.op("Reshape", boxes, net.constant(np.array([1, 4, bins, cells]))), perm=[0, 2, 1, 3])
    shares = net.op("Softmax", split, axis=1)
    distance = net.op("Conv", shares, net.constant(np.arange(bins, dtype=np.float32).reshape(1, bins, 1, 1)), kernel_shape=[1, 1])
    distance = net.op("Reshape", distance, net.constant(np.array([1, 4, cells])))
    bounds = [net.constant(np.array([k])) for k in (0, 2, 4, 1)]
    before = net.op("Slice", distance, bounds[0], bounds[1], bounds[3])
    after = net.op("Slice", distance, bounds[1], bounds[2], bounds[3])
    grid = np.concatenate([np.stack(np.meshgrid(*(np.arange(s) + 0.5,) * 2)).reshape(1, 2, -1) for s in sides], axis=2)
    anchors = net.constant(grid.astype(np.float32))
    least, most = net.op("Sub", anchors, before), net.op("Add", anchors, after)
    centre = net.op("Div", net.op("Add", least, most), net.constant(np.array(2, np.float32)))
    strides = np.concatenate([np.full(s * s, size // s, np.float32) for s in sides]).reshape(1, 1, -1)
    box = net.op("Mul", net.op("Concat", centre, net.op("Sub", most, least), axis=1), net.constant(strides))
    y = net.op("Concat", box, net.op("Sigmoid", kinds), axis=1)
    return net.model((1, 3, size, size), y, (1, 4 + classes, cells))


class Encoder(Writer):
    """Layers on [batch, length, width] as PyTorch's exporter writes them, in primitives."""

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def normalised(self, x: str, scale: str, bias: str) -> str:
        d = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", d, self.number(2)), axes=[-1])
        y = self.op("Div", d, self.op("Sqrt", self.op("Add", variance, self.number(1e-5))))
        return self.op("Add", self.op("Mul", y, scale), bias)

    def dense(self, x: str, weights: Sequence[str]) -> str:
        return self.op("Add", self.op("MatMul", x, weights[0]), weights[1])

    def gelu(self, x: str) -> str:
        y = self.op("Add", self.op("Erf", self.op("Div", x, self.number(2**0.5))), self.number(1))
        return self.op("Mul", self.op("Mul", x, y), self.number(0.5))

    def attention(self, x: str, weights: Sequence[str], length: int, width: int, heads: int) -> str:
        apart, joined = self.constant(np.array([1, length, heads, width // heads])), self.constant(np.array([1, length, width]))

        def part(k: int, perm: Sequence[int]) -> str:
            return self.op("Transpose", self.op("Reshape", self.dense(x, weights[2 * k : 2 * k + 2]), apart), perm=perm)

        scores = self.op("MatMul", part(0, [0, 2, 1, 3]), part(1, [0, 2, 3, 1]))
        scores = self.op("Div", scores, self.number((width / heads) ** 0.5))
        y = self.op("MatMul", self.op("Softmax", scores, axis=-1), part(2, [0, 2, 1, 3]))
        return self.dense(self.op("Reshape", self.op("Transpose", y, perm=[0, 2, 1, 3]), joined), weights[6:8])


def shared_encoder(seed: int, layers: int = 6, length: int = 64, width: int = 128, heads: int = 4) -> onnx.ModelProto:
    """A transformer encoder whose layers share their weights, as ALBERT's do: each layer reads them through Identity nodes of its own."""
    net, x = Encoder(seed), "x"
    shapes = [(width, width)] * 4 + [(width, 4 * width), (4 * width, width)]
    held = [w for shape in shapes for w in (net.constant(_spread(net, shape)), net.constant(0.1 * _spread(net, shape[1:])))]
    held += [net.constant(np.ones(width, np.float32)), net.constant(np.zeros(width, np.float32))]
    for _ in range(layers):
        own = [net.op("Identity", weight) for weight in held]
        x = net.normalised(net.op("Add", x, net.attention(x, own[:8], length, width, heads)), *own[-2:])
        x = net.normalised(net.op("Add", x, net.dense(net.gelu(net.dense(x, own[8:10])), own[10:12])), *own[-2:])
    return net.model((1, length, width), x, (1, length, width))


def _spread(net: Writer, shape: Sequence[int]) -> np.ndarray:
    return (net.generator.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32)


def inception_v1(seed: int) -> onnx.ModelProto:
    """The structure that the onnx wheel ships, with seeded weights: two LRN, 57 convolutions. Input data_0 [1, 3, 224, 224]."""
    source = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_inception_v1.onnx"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        seed_weights(source, made, seed)
        return onnx.load(made)


class Segmenter(Writer):
    """Layers on N C H W with Mish as PyTorch's exporter writes it, or PRelu."""

    def layer(self, x: str, into: int, out: int, stride: int = 1) -> str:
        weights = self.weight((out, into, 3, 3)), self.constant(np.zeros(out, np.float32))
        return self.op("Conv", x, *weights, kernel_shape=[3, 3], strides=[stride] * 2, pads=[1] * 4)

    def mish(self, x: str) -> str:
        return self.op("Mul", x, self.op("Tanh", self.op("Softplus", x)))

    def prelu(self, x: str, channels: int) -> str:
        return self.op("PRelu", x, self.constant(self.generator.uniform(0.05, 0.4, (channels, 1, 1)).astype(np.float32)))


def mish_segmenter(seed: int, size: int = 128, width: int = 32, classes: int = 21) -> onnx.ModelProto:
    """A picture in N H W C, normalised by channel as its file says, to shares of classes by pixel. Input x [1, size, size, 3]."""
    net = Segmenter(seed)
    mean, spread = (net.constant(np.array(v, np.float32)) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = net.op("Transpose", net.op("Div", net.op("Sub", "x", mean), spread), perm=TO_NCHW)
    x = net.mish(net.layer(net.mish(net.layer(x, 3, width, 2)), width, 2 * width, 2))
    for _ in range(2):
        inner = net.mish(net.layer(x, 2 * width, 2 * width))
        x = net.op("Add", x, net.prelu(net.layer(inner, 2 * width, 2 * width), 2 * width))
    x = net.layer(x, 2 * width, classes)
    x = net.op("Resize", x, "", net.constant(np.array([1, 1, 4, 4], np.float32)), mode="nearest", nearest_mode="floor",
               coordinate_transformation_mode="asymmetric")  # fmt: skip
    y = net.op("Softmax", x, axis=1)
    return net.model((1, size, size, 3), y, (1, classes, size, size))
