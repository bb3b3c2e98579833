"""Networks of the first years: alexnet, vgg, googlenet, inception v3's blocks, squeezenet, densenet."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..image_net import ImageNet
from ..tensor import Tensor


def alexnet(name: str, size: int, hidden: int) -> onnx.ModelProto:
    net = ImageNet(name, opset=13)
    x = net.input("data", (1, 3, size, size))
    x = net.pool(net.cba(x, 64, 11, 4, pads=[2] * 4), 3, 2)
    x = net.pool(net.cba(x, 192, 5), 3, 2)
    x = net.pool(net.cba(net.cba(net.cba(x, 384, 3), 256, 3), 256, 3), 3, 2)
    x = net.op("Flatten", x, shape=(1, x.shape[1] * x.shape[2] * x.shape[3]), axis=1)
    for _ in range(2):
        x = net.op("Relu", net.linear(x, hidden, 1.4))
    return net.model(net.linear(x, 1000))


def vgg(name: str, size: int, plan: Sequence[int], hidden: int, norm: bool) -> onnx.ModelProto:
    """plan: channels of each 3x3 convolution, 0 for a pool."""
    net = ImageNet(name, folded=not norm)
    x = net.input("input", (1, 3, size, size))
    for out in plan:
        x = net.cba(x, out, 3) if out else net.pool(x, 2, 2)
    x = net.op("Flatten", x, shape=(1, x.shape[1] * x.shape[2] * x.shape[3]), axis=1)
    return net.model(net.linear(net.op("Relu", net.linear(x, hidden, 1.4)), 100))


def googlenet(name: str, size: int) -> onnx.ModelProto:
    net = ImageNet(name, folded=False)
    x = net.pool(net.cba(net.input("x", (1, 3, size, size)), 64, 7, 2), 3, 2, ceil=True)
    x = net.pool(net.cba(net.cba(x, 64), 192, 3), 3, 2, ceil=True)
    rows = [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64),
            (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)]  # fmt: skip
    for k, row in enumerate(rows):
        x = net.pool(x, 3, 2, ceil=True) if k in (2, 5) else x
        one, threes_in, threes, fives_in, fives, pooled = row
        x = net.concat(
            net.cba(x, one), net.cba(net.cba(x, threes_in), threes, 3), net.cba(net.cba(x, fives_in), fives, 3),
            net.cba(net.pool(x, 3, 1, pad=1), pooled), axis=1,
        )  # fmt: skip
    return net.model(net.classify(x))


def inception(name: str, size: int) -> onnx.ModelProto:
    """Inception v3's three kinds of block: 5x5, factorised 1x7 and 7x1, and the widening ones; AveragePool branches."""
    net = ImageNet(name)
    x = net.input("input", (1, 3, size, size))
    x = net.pool(net.cba(net.cba(net.cba(x, 32, 3, 2, pads=[0] * 4), 32, 3, pads=[0] * 4), 64, 3), 3, 2)
    x = net.pool(net.cba(net.cba(x, 80), 192, 3, pads=[0] * 4), 3, 2)
    for pooled in (32, 64):
        threes = net.cba(net.cba(net.cba(x, 64), 96, 3), 96, 3)
        x = net.concat(net.cba(x, 64), net.cba(net.cba(x, 48), 64, 5), threes, _averaged(net, x, pooled), axis=1)
    x = _narrowed(net, x, 384, 96)
    for inner in (128, 160):
        once = net.cba(net.cba(net.cba(x, inner), inner, (1, 7)), 192, (7, 1))
        twice = net.cba(net.cba(net.cba(net.cba(x, inner), inner, (7, 1)), inner, (1, 7)), 192, (7, 1))
        x = net.concat(net.cba(x, 192), once, twice, _averaged(net, x, 192), axis=1)
    x = _narrowed(net, x, 320, 192)
    y = net.cba(x, 384)
    x = net.concat(net.cba(x, 320), net.cba(y, 384, (1, 3)), net.cba(y, 384, (3, 1)), _averaged(net, x, 192), axis=1)
    return net.model(net.classify(x))


def _averaged(net: ImageNet, x: Tensor, out: int) -> Tensor:
    return net.cba(net.pool(x, 3, 1, "AveragePool", pad=1), out)


def _narrowed(net: ImageNet, x: Tensor, first: int, second: int) -> Tensor:
    right = net.cba(net.cba(net.cba(x, 64), second, 3), second, 3, 2, pads=[0] * 4)
    return net.concat(net.cba(x, first, 3, 2, pads=[0] * 4), right, net.pool(x, 3, 2), axis=1)


def squeezenet(name: str, size: int) -> onnx.ModelProto:
    """SqueezeNet 1.1: fire modules, a convolution as classifier, Softmax at the end."""
    net = ImageNet(name)
    x = net.pool(net.cba(net.input("data", (1, 3, size, size)), 64, 3, 2, pads=[0] * 4), 3, 2, ceil=True)
    for k, (inner, out) in enumerate([(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]):
        x = net.pool(x, 3, 2, ceil=True) if k in (2, 4) else x
        y = net.cba(x, inner)
        x = net.concat(net.cba(y, out), net.cba(y, out, 3), axis=1)
    x = net.global_pool(net.cba(x, 1000))
    return net.model(net.op("Softmax", net.op("Flatten", x, shape=x.shape[:2], axis=1), axis=1))


def densenet(name: str, size: int, blocks: Sequence[int], growth: int) -> onnx.ModelProto:
    net = ImageNet(name, folded=False)
    x = net.pool(net.cba(net.input("input", (1, 3, size, size)), 2 * growth, 7, 2), 3, 2, pad=1)
    for stage, count in enumerate(blocks):
        for _ in range(count):
            y = net.cba(net.op("Relu", net.batch_norm(x)), 4 * growth)
            x = net.concat(x, net.conv(y, growth, 3, bias=False), axis=1)
        if stage < len(blocks) - 1:
            x = net.conv(net.op("Relu", net.batch_norm(x)), x.shape[1] // 2, bias=False)
            x = net.pool(x, 2, 2, "AveragePool")
    return net.model(net.classify(net.op("Relu", net.batch_norm(x))))
