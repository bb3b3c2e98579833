"""Small models of images, some of them quantised."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from .net import Net


def detector() -> onnx.ModelProto:
    """Boxes in pixels and class scores in one output [1, 36, 9]."""
    net = Net(2)
    x = net.op("LeakyRelu", net.conv(net.input("x", "float", 1, 3, 24, 24), 3, 8, strides=[2, 2]), alpha=0.1)
    x = net.op("LeakyRelu", net.conv(x, 8, 8, strides=[2, 2]), alpha=0.1)
    boxes = net.op("Mul", net.op("Sigmoid", net.conv(x, 8, 4, 1)), net.const(640.0))
    scores = net.op("Sigmoid", net.conv(x, 8, 5, 1))
    rows = net.op("Reshape", net.op("Concat", boxes, scores, axis=1), net.ints(1, 9, 36))
    net.output(net.op("Transpose", rows, perm=[0, 2, 1]), "y", "float", 1, 36, 9)
    return net.model()


def mobile() -> onnx.ModelProto:
    """Relu6 on images of 0 to 255, depthwise, dilated, squeeze and excite."""
    net = Net(5)
    x = net.op("Div", net.op("Sub", net.input("image", "float", 1, 3, 32, 32), net.const(np.full((1, 3, 1, 1), 120.0))), net.const(60.0))
    x = _six(net, net.batchnorm(net.conv(x, 3, 8, strides=[2, 2]), 8))
    y = _six(net, net.batchnorm(net.conv(_six(net, net.batchnorm(net.conv(x, 8, 16, 1), 16)), 16, 16, group=16), 16))
    gate = net.op(
        "HardSigmoid", net.conv(net.op("Relu", net.conv(net.op("GlobalAveragePool", y), 16, 4, 1)), 4, 16, 1), alpha=1 / 6, beta=0.5
    )
    x = net.op("Add", x, net.batchnorm(net.conv(net.op("Mul", y, gate), 16, 8, 1), 8))
    x = net.op("HardSwish", net.conv(x, 8, 8, pads=[2, 2, 2, 2], dilations=[2, 2]))
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.output(net.op("Gemm", x, net.random(8, 10), net.random(10, scale=0.2)), "y", "float", 1, 10)
    return net.model()


def _six(net: Net, x: str) -> str:
    return str(net.op("Clip", net.op("Mul", x, net.const(3.0)), net.const(0.0), net.const(6.0)))


def convolutional(real: Any = np.float32) -> onnx.ModelProto:
    net, kind = Net(6, real), "half" if real is np.float16 else "float"
    x = net.op(
        "MaxPool",
        net.op("Relu", net.batchnorm(net.conv(net.input("x", kind, 1, 3, 24, 24), 3, 8), 8)),
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    )
    y = net.batchnorm(net.conv(net.op("Relu", net.batchnorm(net.conv(x, 8, 8), 8)), 8, 8), 8)
    gate = net.op("Sigmoid", net.conv(net.op("Relu", net.conv(net.op("GlobalAveragePool", y), 8, 4, 1)), 4, 8, 1))
    x = net.op("Relu", net.op("Add", x, net.op("Mul", y, gate)))
    x = net.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    net.output(net.op("Gemm", net.op("Flatten", x), net.random(288, 10), net.random(10, scale=0.2)), "y", kind, 1, 10)
    return net.model()


def _through_int8(net: Net, x: str, scale: float, zero: int = 0) -> str:
    places = net.const(scale), net.const(zero, np.int8)
    return str(net.op("DequantizeLinear", net.op("QuantizeLinear", x, *places), *places))


def _int8_weights(net: Net, *shape: int) -> str:
    codes = net.rng.integers(-127, 128, shape)
    scale = net.const(1 / 73 / np.sqrt(np.prod(shape[1:]) if len(shape) > 2 else shape[0]))
    return str(net.op("DequantizeLinear", net.const(codes, np.int8), scale, net.const(0, np.int8)))


def quantised_cnn() -> onnx.ModelProto:
    net = Net(7)
    x = _through_int8(net, net.input("x", "float", 1, 3, 16, 16), 1 / 127, -128 + 128)
    for a, b in ((3, 8), (8, 8)):
        x = net.op("Relu", net.op("Conv", x, _int8_weights(net, b, a, 3, 3), net.random(b, scale=0.2), pads=[1, 1, 1, 1]))
        x = _through_int8(net, x, 0.02, -128)
    net.output(net.op("Flatten", net.op("GlobalAveragePool", x)), "y", "float", 1, 8)
    return net.model()


def quantised_gemm() -> onnx.ModelProto:
    net = Net(8)
    x = _through_int8(net, net.input("x", "float", 4, 32), 0.03)
    x = net.op("Relu", net.op("Gemm", x, _int8_weights(net, 32, 32), net.random(32, scale=0.3)))
    x = net.op("Gemm", _through_int8(net, x, 0.025, -128), _int8_weights(net, 32, 10), net.random(10, scale=0.3))
    net.output(_through_int8(net, x, 0.03), "y", "float", 4, 10)
    return net.model()


def resizing() -> onnx.ModelProto:
    """Down, up by linear and by nearest, and the skip between."""
    net = Net(11)
    x = net.input("x", "float", 1, 3, 16, 16)
    top = net.op("Relu", net.conv(x, 3, 6))
    low = net.op("LeakyRelu", net.conv(top, 6, 8, strides=[2, 2]), alpha=0.2)
    deep = net.op("Relu", net.conv(net.op("Pad", low, net.ints(0, 0, 1, 1, 0, 0, 1, 1)), 8, 8, 3, pads=[0, 0, 0, 0], strides=[2, 2]))
    scales = net.const([1, 1, 2, 2])
    up = net.op("Resize", deep, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    up = net.op("Resize", net.op("Add", up, low), "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    up = net.op("Relu", net.conv(net.op("Concat", up, top, axis=1), 14, 6))
    up = net.op("ConvTranspose", up, net.random(6, 2, 2, 2), strides=[2, 2])
    net.output(net.op("Sigmoid", up), "y", "float", 1, 2, 32, 32)
    return net.model()


def several() -> onnx.ModelProto:
    """Outputs of very different sizes: a mean, a spread, an image."""
    net = Net(15)
    x = net.input("x", "float", 1, 3, 12, 12)
    y = net.op("Tanh", net.conv(x, 3, 6))
    left, right = net.op("Split", y, outputs=2, axis=1, num_outputs=2)
    net.output(net.op("ReduceMean", left, net.ints(2, 3), keepdims=0), "mean", "float", 1, 3)
    net.output(net.op("Mul", net.op("Exp", right), net.const(1000.0)), "spread", "float", 1, 3, 12, 12)
    net.output(net.op("Clip", net.op("Mul", x, net.const(600.0)), net.const(-255.0), net.const(255.0)), "image", "float", 1, 3, 12, 12)
    return net.model()
