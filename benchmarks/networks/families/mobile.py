"""Networks for phones: mobilenet v1 to v3, mnasnet, shufflenet v2, ghostnet, efficientnet (and lite, and v2), lcnet."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from .residual import BRANCH


def mobilenet_v1(name: str, size: int, alpha: float) -> onnx.ModelProto:
    net = ImageNet(name, act="relu6", folded=False, opset=13)
    x = net.cba(net.input("input", (1, 3, size, size)), int(32 * alpha), 3, 2)
    for out, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        x = net.cba(net.depthwise(x, 3, stride), int(out * alpha))
    return net.model(net.op("Softmax", net.classify(x), axis=-1))


def inverted(net: ImageNet, x: Tensor, inner: int, out: int, kernel: int, stride: int, act: str, squeeze: int = 0, gate: str = "sigmoid",
             inner_act: str = "relu", mean: bool = False) -> Tensor:  # fmt: skip
    """The inverted residual of MobileNetV2 and V3, MnasNet, EfficientNet. squeeze: channels inside its squeeze-and-excite, 0 for none."""
    y = x if inner == x.shape[1] else net.cba(x, inner, act=act)
    y = net.depthwise(y, kernel, stride, act)
    y = net.squeeze_excite(y, squeeze, inner_act, gate, mean) if squeeze else y
    same = stride == 1 and out == x.shape[1]
    y = net.cba(y, out, act="", gain=BRANCH if same else 1.0)
    return net.op("Add", x, y) if same else y


def mobilenet_v2(name: str, size: int, alpha: float = 1.0, batch: int = 1) -> onnx.ModelProto:
    net = ImageNet(name, act="relu6")
    x = net.cba(net.input("input", (batch, 3, size, size)), 32, 3, 2)
    for expand, out, count, stride in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]:
        for k in range(count):
            width = max(8, int(out * alpha + 4) // 8 * 8)
            x = inverted(net, x, x.shape[1] * expand, width, 3, stride if k == 0 else 1, "relu6")
    return net.model(net.classify(net.cba(x, 1280)))


MOBILE_V3 = [(3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 24, "relu", 2),
             (5, 120, 40, 32, "relu", 1), (5, 120, 40, 32, "relu", 1), (3, 240, 80, 0, "hs", 2), (3, 200, 80, 0, "hs", 1),
             (3, 184, 80, 0, "hs", 1), (3, 480, 112, 120, "hs", 1), (3, 672, 112, 168, "hs", 1), (5, 672, 160, 168, "hs", 2),
             (5, 960, 160, 240, "hs", 1), (5, 960, 160, 240, "hs", 1)]  # fmt: skip
"""kernel, inner, out, squeeze, activation, stride."""


def mobilenet_v3(name: str, size: int, parts: bool) -> onnx.ModelProto:
    """parts: HardSwish spelled out, as before opset 14."""
    hard = "hardswish_parts" if parts else "hardswish"
    net = ImageNet(name, act=hard, opset=13 if parts else 17)
    x = net.cba(net.input("input", (1, 3, size, size)), 16, 3, 2)
    for kernel, inner, out, squeeze, act, stride in MOBILE_V3:
        x = inverted(net, x, inner, out, kernel, stride, hard if act == "hs" else act, squeeze, "hardsigmoid")
    pooled = net.global_pool(net.cba(x, 960))
    y = net.act(net.linear(net.op("Flatten", pooled, shape=pooled.shape[:2], axis=1), 1280), hard)
    return net.model(net.linear(y, 1000))


def mnasnet(name: str, size: int) -> onnx.ModelProto:
    net = ImageNet(name, folded=False)
    x = net.cba(net.input("input", (1, 3, size, size)), 32, 3, 2)
    x = net.cba(net.depthwise(x, 3), 16, act="")
    for kernel, expand, out, count, stride in [(3, 3, 24, 3, 2), (5, 3, 40, 3, 2), (5, 6, 80, 3, 2), (3, 6, 96, 2, 1), (5, 6, 192, 4, 2)]:
        for k in range(count):
            x = inverted(net, x, x.shape[1] * expand, out, kernel, stride if k == 0 else 1, "relu")
    return net.model(net.classify(net.cba(x, 1280)))


def efficientnet(name: str, size: int, width: float = 1.0, depth: float = 1.0) -> onnx.ModelProto:
    """EfficientNet as timm exports it: Swish as x·Sigmoid(x), the squeeze as ReduceMean."""
    net = ImageNet(name, act="silu")
    x = net.cba(net.input("x", (1, 3, size, size)), _eights(32 * width), 3, 2)
    rows = [(3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2), (5, 6, 112, 3, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1)]
    for kernel, expand, out, count, stride in rows:
        for k in range(round(count * depth + 0.4)):
            inner = x.shape[1] * expand
            x = inverted(
                net,
                x,
                inner,
                _eights(out * width),
                kernel,
                stride if k == 0 else 1,
                "silu",
                max(1, x.shape[1] // 4),
                inner_act="silu",
                mean=True,
            )
    return net.model(net.classify(net.cba(x, _eights(1280 * width))))


def efficientnet_v2(name: str, size: int) -> onnx.ModelProto:
    """Fused blocks first (3x3 that widens, 1x1 back), inverted ones with squeeze-and-excite after."""
    net = ImageNet(name, act="silu", folded=False)
    x = net.cba(net.input("x", (1, 3, size, size)), 24, 3, 2)
    for expand, out, count, stride in [(1, 24, 1, 1), (4, 48, 2, 2), (4, 64, 2, 2)]:
        for k in range(count):
            y = net.cba(net.cba(x, x.shape[1] * expand, 3, stride if k == 0 else 1), out, act="", gain=BRANCH)
            x = net.op("Add", x, y) if x.shape == y.shape else y
    for expand, out, count, stride in [(4, 128, 3, 2), (6, 160, 4, 1), (6, 256, 4, 2)]:
        for k in range(count):
            x = inverted(net, x, x.shape[1] * expand, out, 3, stride if k == 0 else 1, "silu", x.shape[1] // 4, inner_act="silu")
    return net.model(net.classify(net.cba(x, 1280)))


def _eights(width: float) -> int:
    return int(width + 4) // 8 * 8


def shufflenet_v2(name: str, size: int, widths: Sequence[int]) -> onnx.ModelProto:
    """Split, a branch of 1x1, depthwise and 1x1, Concat, and the channels shuffled as Reshape, Transpose, Reshape."""
    net = ImageNet(name)
    x = net.pool(net.cba(net.input("input", (1, 3, size, size)), 24, 3, 2), 3, 2, pad=1)
    for out, count in zip(widths, (4, 8, 4), strict=False):
        half = out // 2
        left = net.cba(net.depthwise(x, 3, 2, ""), half)
        right = net.cba(net.depthwise(net.cba(x, half), 3, 2, ""), half)
        x = net.shuffle(net.concat(left, right, axis=1), 2)
        for _ in range(count - 1):
            left, right = net.split(x, [half, half], 1)
            right = net.cba(net.depthwise(net.cba(right, half), 3, act=""), half)
            x = net.shuffle(net.concat(left, right, axis=1), 2)
    return net.model(net.classify(net.cba(x, widths[-1])))


def ghostnet(name: str, size: int) -> onnx.ModelProto:
    """Half of each layer's channels come from a cheap depthwise convolution of the other half."""
    net = ImageNet(name, folded=False)
    x = net.cba(net.input("input", (1, 3, size, size)), 16, 3, 2)
    rows = [(3, 16, 16, 0, 1), (3, 48, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 20, 2), (5, 120, 40, 32, 1), (3, 240, 80, 0, 2),
            (3, 200, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 120, 1), (3, 672, 112, 168, 1), (5, 672, 160, 168, 2),
            (5, 960, 160, 0, 1), (5, 960, 160, 240, 1)]  # fmt: skip
    for kernel, inner, out, squeeze, stride in rows:
        y = _ghost(net, x, inner, "relu")
        y = net.depthwise(y, kernel, stride, "") if stride > 1 else y
        y = net.squeeze_excite(y, squeeze, gate="hardsigmoid") if squeeze else y
        y = _ghost(net, y, out, "", BRANCH)
        if stride > 1 or out != x.shape[1]:
            x = net.cba(net.depthwise(x, kernel, stride, ""), out, act="", gain=0.7)
        x = net.op("Add", y, x)
    return net.model(net.classify(net.cba(x, 960)))


def _ghost(net: ImageNet, x: Tensor, out: int, act: str, gain: float = 1.0) -> Tensor:
    first = net.cba(x, out // 2, act=act, gain=gain)
    return net.concat(first, net.depthwise(first, 3, act=act), axis=1)


def lcnet(name: str, size: int, scale: float) -> onnx.ModelProto:
    """PP-LCNet as paddle2onnx writes it: normalisation apart, HardSwish, late squeeze-and-excite, 5x5 depthwise at the end."""
    net = ImageNet(name, act="hardswish", folded=False, opset=14)
    x = net.cba(net.input("x", (1, 3, size, size)), int(16 * scale), 3, 2)
    rows = [
        (3, 32, 1, 0),
        (3, 64, 2, 0),
        (3, 64, 1, 0),
        (3, 128, 2, 0),
        (3, 128, 1, 0),
        (5, 256, 2, 0),
        *[(5, 256, 1, 0)] * 5,
        (5, 512, 2, 1),
        (5, 512, 1, 1),
    ]
    for kernel, out, stride, squeeze in rows:
        x = net.depthwise(x, kernel, stride)
        x = net.squeeze_excite(x, x.shape[1] // 4, gate="hardsigmoid") if squeeze else x
        x = net.cba(x, int(out * scale))
    x = net.act(net.conv(net.global_pool(x), 1280), "hardswish")
    return net.model(net.linear(net.op("Flatten", x, shape=x.shape[:2], axis=1), 1000))
