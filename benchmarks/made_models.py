"""Models that benchmarks and tests make themselves, in spellings that public model zoos rarely have. Weights come from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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
