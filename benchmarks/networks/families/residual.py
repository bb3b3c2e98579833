"""Residual networks: resnet, resnext, wide resnet, pre-activation resnet, ResNet-D with anti-aliasing, in batch sizes too."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..image_net import ImageNet
from ..tensor import Tensor

BRANCH = 0.4
"""Gain of the last convolution of a branch: what a stack of blocks writes stays as large as what it reads."""


def stem(net: ImageNet, size: int, batch: int = 1, width: int = 64) -> Tensor:
    x = net.input("input", (batch, 3, size, size))
    return net.pool(net.cba(x, width, 7, 2), 3, 2, pad=1)


def basic(net: ImageNet, x: Tensor, out: int, stride: int) -> Tensor:
    y = net.cba(net.cba(x, out, 3, stride), out, 3, act="", gain=BRANCH)
    short = x if x.shape[1] == out and stride == 1 else net.cba(x, out, 1, stride, act="", gain=0.7)
    return net.act(net.op("Add", y, short), net.activation)


def bottleneck(net: ImageNet, x: Tensor, inner: int, out: int, stride: int, group: int = 1) -> Tensor:
    y = net.cba(net.cba(net.cba(x, inner), inner, 3, stride, group), out, act="", gain=BRANCH)
    short = x if x.shape[1] == out and stride == 1 else net.cba(x, out, 1, stride, act="", gain=0.7)
    return net.act(net.op("Add", y, short), net.activation)


def resnet(name: str, blocks: Sequence[int], size: int, batch: int = 1, folded: bool = True) -> onnx.ModelProto:
    """resnet18 and resnet34: two 3x3 convolutions a block."""
    net = ImageNet(name, folded=folded)
    x = stem(net, size, batch)
    for stage, count in enumerate(blocks):
        for k in range(count):
            x = basic(net, x, 64 << stage, 2 if k == 0 and stage else 1)
    return net.model(net.classify(x))


def deep_resnet(name: str, blocks: Sequence[int], size: int, group: int = 1, width: int = 64, folded: bool = True) -> onnx.ModelProto:
    """resnet50 (width 64), resnext50 (group 32, width 128), wide_resnet50 (width 128)."""
    net = ImageNet(name, folded=folded)
    x = stem(net, size)
    for stage, count in enumerate(blocks):
        for k in range(count):
            x = bottleneck(net, x, width << stage, 256 << stage, 2 if k == 0 and stage else 1, group)
    return net.model(net.classify(x))


def preact_resnet(name: str, blocks: Sequence[int], size: int, width: int) -> onnx.ModelProto:
    """Normalisation and activation before each convolution, so that nothing folds into the first; 10 classes at CIFAR's size."""
    net = ImageNet(name, opset=13, folded=False)
    x = net.conv(net.input("image", (1, 3, size, size)), width, 3, bias=False)
    for stage, count in enumerate(blocks):
        out = width << stage
        for k in range(count):
            stride = 2 if k == 0 and stage else 1
            y = net.op("Relu", net.batch_norm(x))
            short = x if x.shape[1] == out and stride == 1 else net.conv(y, out, 1, stride, bias=False, gain=0.7)
            y = net.op("Relu", net.batch_norm(net.conv(y, out, 3, stride, bias=False)))
            x = net.op("Add", net.conv(y, out, 3, bias=False, gain=BRANCH), short)
    return net.model(net.classify(net.op("Relu", net.batch_norm(x)), 10))


def resnet_d(name: str, blocks: Sequence[int], size: int) -> onnx.ModelProto:
    """ResNet-D: three 3x3 convolutions in the stem, AveragePool before the shortcut's 1x1, a mean as ReduceMean, opset 18."""
    net = ImageNet(name, opset=18, act="silu")
    x = net.input("pixel_values", (1, 3, size, size))
    x = net.pool(net.cba(net.cba(net.cba(x, 32, 3, 2), 32, 3), 64, 3), 3, 2, pad=1)
    for stage, count in enumerate(blocks):
        inner, out = 48 << stage, 192 << stage
        for k in range(count):
            stride = 2 if k == 0 and stage else 1
            y = net.cba(net.cba(net.cba(x, inner), inner, 3, stride), out, act="", gain=BRANCH)
            short = net.pool(x, 2, 2, "AveragePool") if stride == 2 else x
            short = net.cba(short, out, act="", gain=0.7) if k == 0 else short
            x = net.act(net.op("Add", y, short), "silu")
    return net.model(net.linear(net.mean(x, [2, 3], keep=False), 1000))
