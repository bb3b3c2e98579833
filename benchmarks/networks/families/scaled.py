"""Convolutional networks found by search or scaled by rule: regnet X and Y, convnext, repvgg, mobileone, cspnet, hrnet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from ..token_net import TokenNet
from .residual import BRANCH


def regnet(
    name: str, size: int, depths: Sequence[int], widths: Sequence[int], group_width: int, squeeze: bool, folded: bool = True
) -> onnx.ModelProto:
    """Bottlenecks without a bottleneck whose 3x3 has groups of group_width channels; squeeze: RegNetY's squeeze-and-excite."""
    net = ImageNet(name, folded=folded)
    x = net.cba(net.input("pixel_values", (1, 3, size, size)), 32, 3, 2)
    for depth, width in zip(depths, widths, strict=True):
        for k in range(depth):
            stride, into = (2 if k == 0 else 1), x.shape[1]
            y = net.cba(net.cba(x, width), width, 3, stride, group=width // group_width)
            y = net.squeeze_excite(y, into // 4) if squeeze else y
            y = net.cba(y, width, act="", gain=BRANCH)
            short = net.cba(x, width, 1, stride, act="", gain=0.7) if k == 0 else x
            x = net.op("Relu", net.op("Add", y, short))
    return net.model(net.classify(x))


def convnext(name: str, size: int, depths: Sequence[int], widths: Sequence[int], dense: bool) -> onnx.ModelProto:
    """7x7 depthwise, LayerNormalization on N H W C, 4x wider and back, layer scale. dense: both as MatMul (N H W C), else 1x1 Conv."""
    net = TokenNet(name, 17, "operator" if dense else "parts", epsilon=1e-6)
    x = net.input("pixel_values", (1, 3, size, size))
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        x = _channels(net, x) if stage else x
        x = net.conv(x, width, 2 if stage else 4, 2 if stage else 4, pads=[0] * 4, gain=0.7)
        x = x if stage else _channels(net, x)
        for _ in range(depth):
            y = net.transpose(net.conv(x, width, 7, group=width, gain=0.7), 0, 2, 3, 1)
            y = net.layer_norm(y)
            if dense:
                y = net.op("Mul", net.feed_forward(y, 4 * width, gain=1.0), net.uniform((width,), 0.1, 0.5))
                y = net.transpose(y, 0, 3, 1, 2)
            else:
                y = net.conv(net.gelu(net.conv(net.transpose(y, 0, 3, 1, 2), 4 * width)), width, gain=BRANCH)
            x = net.op("Add", x, y)
    return net.model(net.linear(net.mean(x, [-2, -1], keep=False), 1000))


def _channels(net: TokenNet, x: Tensor) -> Tensor:
    """LayerNormalization over the channels of N C H W."""
    return net.transpose(net.layer_norm(net.transpose(x, 0, 2, 3, 1)), 0, 3, 1, 2)


def repvgg(name: str, size: int, depths: Sequence[int], widths: Sequence[int], folded: bool) -> onnx.ModelProto:
    """folded: each block one 3x3 convolution and Relu, as deployed; else its three branches as trained."""
    net = ImageNet(name, folded=folded)
    x = net.input("input", (1, 3, size, size))
    for depth, width in zip(depths, widths, strict=True):
        for k in range(depth):
            stride = 2 if k == 0 else 1
            if folded:
                x = net.cba(x, width, 3, stride)
                continue
            y = net.op("Add", net.cba(x, width, 3, stride, act="", gain=0.7), net.cba(x, width, 1, stride, act="", gain=0.5))
            y = net.op("Add", y, net.batch_norm(x)) if x.shape == y.shape else y
            x = net.op("Relu", y)
    return net.model(net.classify(x))


def cspnet(name: str, size: int, depths: Sequence[int], act: str) -> onnx.ModelProto:
    """Darknet with cross-stage parts: half of the channels go through residual blocks, the rest goes past them; Mish or LeakyRelu."""
    net = ImageNet(name, act=act, folded=False, opset=13)
    x = net.cba(net.input("data", (1, 3, size, size)), 16, 3)
    for stage, depth in enumerate(depths):
        x = net.cba(x, 32 << stage, 3, 2)
        half = x.shape[1] // 2
        past, y = net.cba(x, half), net.cba(x, half)
        for _ in range(depth):
            y = net.op("Add", net.cba(net.cba(y, half), half, 3, gain=BRANCH), y)
        x = net.cba(net.concat(net.cba(y, half), past, axis=1), 2 * half)
    return net.model(net.classify(x, 200))


def hrnet(name: str, size: int, width: int, joints: int) -> onnx.ModelProto:
    """Three resolutions kept side by side, exchanged by strided convolutions and Resize; heat maps of joints."""
    net = ImageNet(name)
    x = net.cba(net.cba(net.input("image", (1, 3, size, size * 3 // 4)), 32, 3, 2), 32, 3, 2)
    planes = [net.cba(x, width, 3)]
    for _ in range(2):
        planes.append(net.cba(planes[-1], 2 * planes[-1].shape[1], 3, 2))
        planes = [_residual(net, _residual(net, plane)) for plane in planes]
        planes = [_exchanged(net, planes, k) for k in range(len(planes))]
    return net.model(net.conv(planes[0], joints), names=("heatmaps",))


def _residual(net: ImageNet, x: Tensor) -> Tensor:
    y = net.cba(net.cba(x, x.shape[1], 3), x.shape[1], 3, act="", gain=BRANCH)
    return net.op("Relu", net.op("Add", y, x))


def _exchanged(net: ImageNet, planes: Sequence[Tensor], to: int) -> Tensor:
    total = planes[to]
    for k, plane in enumerate(planes):
        if k < to:
            for _ in range(to - k):
                plane = net.cba(plane, plane.shape[1] * 2, 3, 2, act="", gain=0.5)
            total = net.op("Add", total, plane)
        elif k > to:
            total = net.op("Add", total, net.resize(net.cba(plane, planes[to].shape[1], act="", gain=0.5), 1 << (k - to)))
    return net.op("Relu", total)


def efficient_vit(name: str, size: int, width: int) -> onnx.ModelProto:
    """Attention linear in the pixels: Relu on queries and keys, keys times values first, a sum as the divisor."""
    net = TokenNet(name, 17, act="hardswish")
    x = net.cba(net.cba(net.input("x", (1, 3, size, size)), width // 2, 3, 2), width, 3, 2)
    for _ in range(4):
        n, c, h, w = x.shape
        y = net.reshape(net.conv(x, 3 * c, bias=False, gain=0.7), [n, c // 16, 48, h * w])
        q, k, v = net.split(net.transpose(y, 0, 1, 3, 2), [16] * 3, 3)
        q, k = net.op("Relu", q), net.op("Relu", k)
        v = net.op("Pad", v, net.constant([0] * 7 + [1]), net.number(1.0), shape=(*v.shape[:-1], 17), mode="constant")
        y = net.matmul(q, net.matmul(net.transpose(k, 0, 1, 3, 2), v))
        y = net.op("Div", net.slice(y, 3, 0, 16), net.op("Add", net.slice(y, 3, 16, 17), net.number(1e-3)))
        y = net.reshape(net.transpose(y, 0, 1, 3, 2), [n, c, h, w])
        x = net.op("Add", x, net.conv(y, c, gain=BRANCH))
        x = net.op("Add", x, net.cba(net.depthwise(net.cba(x, 4 * c), 3), c, act="", gain=BRANCH))
    return net.model(net.linear(net.mean(x, [2, 3], keep=False), 100))


def lenet(name: str, size: int, batch: int) -> onnx.ModelProto:
    """For digits: 5x5 convolutions, Tanh, AveragePool, in a batch."""
    net = ImageNet(name, opset=13, act="tanh")
    x = net.pool(net.cba(net.input("digits", (batch, 1, size, size)), 20, 5), 2, 2, "AveragePool")
    x = net.pool(net.cba(x, 50, 5), 2, 2, "AveragePool")
    x = net.op("Flatten", x, shape=(batch, int(np.prod(x.shape[1:]))), axis=1)
    return net.model(net.op("Softmax", net.linear(net.op("Tanh", net.linear(x, 256)), 10), axis=1))
