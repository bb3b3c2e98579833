"""Classifiers of the set that no class was settled with (../unseen.py): vovnet, resnest, coatnet, edgenext, rexnet, squeezenext …"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from ..token_net import TokenNet
from .residual import BRANCH


def vovnet(name: str, size: int, blocks: Sequence[tuple[int, int]]) -> onnx.ModelProto:
    """One-shot aggregation: five 3x3 in a row, all of them joined once by a 1x1, with a gate."""
    net = ImageNet(name)
    x = net.cba(net.cba(net.input("image", (1, 3, size, size)), 32, 3, 2), 48, 3)
    for inner, out in blocks:
        x = net.pool(x, 3, 2, ceil=True)
        kept = [x]
        for _ in range(5):
            kept.append(net.cba(kept[-1], inner, 3))
        y = net.cba(net.concat(*kept, axis=1), out)
        gate = net.act(net.conv(net.global_pool(y), out, gain=0.7), "hardsigmoid")
        y = net.op("Mul", y, gate)
        x = net.op("Add", x, y) if x.shape == y.shape else y
    return net.model(net.classify(x))


def resnest(name: str, size: int, blocks: Sequence[tuple[int, int]]) -> onnx.ModelProto:
    """Split attention: a 3x3 of two groups, whose halves are weighed by a softmax over the two."""
    net = ImageNet(name)
    x = net.input("image", (1, 3, size, size))
    for width, stride in ((24, 2), (24, 1), (48, 1)):
        x = net.cba(x, width, 3, stride)
    x = net.pool(x, 3, 2, pad=1)
    for width, stride in blocks:
        y = net.cba(net.cba(x, width), 2 * width, 3, group=2)
        halves = net.split(y, [width] * 2, 1)
        gate = net.conv(net.cba(net.global_pool(net.op("Add", *halves)), max(width // 2, 16)), 2 * width, gain=0.7)
        gate = net.op("Softmax", net.reshape(gate, [1, 2, width, 1, 1]), axis=1)
        gates = [net.squeeze(one, 1) for one in net.split(gate, [1, 1], 1)]
        y = net.op("Add", *(net.op("Mul", half, one) for half, one in zip(halves, gates, strict=True)))
        y = net.pool(y, 3, 2, "AveragePool", pad=1) if stride == 2 else y
        short = net.pool(x, 2, 2, "AveragePool") if stride == 2 else x
        y = net.cba(y, 4 * width, act="", gain=BRANCH)
        short = short if short.shape == y.shape else net.cba(short, 4 * width, act="", gain=0.7)
        x = net.op("Relu", net.op("Add", y, short))
    return net.model(net.classify(x))


def squeezenext(name: str, size: int) -> onnx.ModelProto:
    """Two 1x1 that halve, a 3x1, a 1x3, a 1x1 that restores."""
    net = ImageNet(name, folded=False)
    x = net.pool(net.cba(net.input("image", (1, 3, size, size)), 64, 7, 2), 3, 2)
    for out, count, stride in ((32, 4, 1), (64, 6, 2), (128, 6, 2), (256, 1, 2)):
        for k in range(count):
            step = stride if k == 0 else 1
            y = net.cba(net.cba(x, max(x.shape[1] // 2, 16), 1, step), out // 2)
            y = net.cba(net.cba(y, out // 2, (3, 1)), out // 2, (1, 3))
            y = net.cba(y, out, gain=BRANCH)
            short = x if x.shape == y.shape else net.cba(x, out, 1, step)
            x = net.op("Relu", net.op("Add", y, short))
    return net.model(net.classify(net.cba(x, 128)))


def rexnet(name: str, size: int) -> onnx.ModelProto:
    """Inverted bottlenecks whose channels grow by steps of 11, swish in front and Relu6 behind, the sum over the first channels alone."""
    net = ImageNet(name, act="silu")
    x = net.cba(net.input("image", (1, 3, size, size)), 32, 3, 2)
    for k, (out, stride) in enumerate(
        [(16, 1), (27, 2), (38, 1), (50, 2), (61, 1), (72, 2), (84, 1), (95, 1), (106, 1), (128, 2), (140, 1)]
    ):
        y = net.cba(x, x.shape[1] * (6 if k else 1)) if k else x
        y = net.depthwise(y, 3, stride, act="")
        y = net.squeeze_excite(y, max(y.shape[1] // 12, 4)) if k > 3 else y
        y = net.cba(net.act(y, "relu6"), out, act="", gain=BRANCH)
        if stride == 1 and k:
            same = x.shape[1]
            first, rest = net.split(y, [same, out - same], 1)
            y = net.concat(net.op("Add", first, x), rest, axis=1)
        x = y
    return net.model(net.classify(net.cba(x, 640)))


def coatnet(name: str, size: int, width: int) -> onnx.ModelProto:
    """Inverted bottlenecks with gates on large planes, attention with a bias for each pair of places on small ones."""
    net = TokenNet(name, 17)
    x = net.cba(net.input("image", (1, 3, size, size)), width // 2, 3, 2, act="gelu")
    for out, stride in ((width, 2), (width, 1), (2 * width, 2), (2 * width, 1)):
        y = net.depthwise(net.cba(x, 4 * out, act="gelu"), 3, stride, act="gelu")
        y = net.cba(net.squeeze_excite(y, out), out, act="", gain=BRANCH)
        short = net.pool(x, 2, 2) if stride == 2 else x
        x = net.op("Add", y, short if short.shape == y.shape else net.conv(short, out, gain=0.7))
    x = net.conv(net.pool(x, 2, 2), 4 * width, gain=0.7)
    side, heads = x.shape[2], 4 * width // 32
    y = net.tokens(x)
    for _ in range(3):
        bias = net.normal((1, heads, side * side, side * side), 0.2)
        y = net.op("Add", y, net.attention(net.layer_norm(y), heads, bias))
        y = net.op("Add", y, net.feed_forward(net.layer_norm(y), 16 * width))
    return net.model(net.linear(net.mean(net.layer_norm(y), [1], keep=False), 1000))


def edgenext(name: str, size: int) -> onnx.ModelProto:
    """Depthwise 3x3 to 9x9 in pieces that add to the next; attention among channels, its queries and keys of length one."""
    net = TokenNet(name, 17)
    x = net.conv(net.input("image", (1, 3, size, size)), 32, 4, 4, pads=[0] * 4, gain=0.7)
    for stage, (width, count, kernel) in enumerate([(32, 2, 3), (64, 2, 5), (100, 3, 7), (144, 2, 9)]):
        x = net.conv(x, width, 2, 2, pads=[0] * 4, gain=0.7) if stage else x
        for k in range(count):
            x = _among_channels(net, x) if stage and k == count - 1 else _wide_window(net, x, kernel)
    y = net.mean(net.tokens(x), [1], keep=False)
    return net.model(net.linear(net.layer_norm(y), 1000))


def _wide_window(net: TokenNet, x: Tensor, kernel: int) -> Tensor:
    c = x.shape[1]
    y = net.transpose(net.conv(x, c, kernel, group=c, gain=0.7), 0, 2, 3, 1)
    y = net.dense(net.gelu(net.dense(net.layer_norm(y), 4 * c)), c, gain=BRANCH)
    return net.op("Add", x, net.transpose(y, 0, 3, 1, 2))


def _among_channels(net: TokenNet, x: Tensor) -> Tensor:
    _, c, h, w = x.shape
    half = c // 2
    first, second = net.split(x, [half, half], 1)
    first = net.conv(first, half, 3, group=half, gain=0.7)
    second = net.conv(net.op("Add", second, first), half, 3, group=half, gain=0.7)
    y = net.layer_norm(net.tokens(net.concat(first, second, axis=1)))
    heads = 4
    q, k, v = (net.transpose(net.reshape(net.dense(y, c), [1, h * w, heads, c // heads]), 0, 2, 3, 1) for _ in range(3))
    q, k = (net.op("Div", one, net.op("ReduceL2", one, shape=(*one.shape[:3], 1), axes=[-1], keepdims=1)) for one in (q, k))
    scores = net.op("Mul", net.matmul(q, net.transpose(k, 0, 1, 3, 2)), net.uniform((heads, 1, 1), 0.5, 2.0))
    z = net.matmul(net.op("Softmax", scores, axis=-1), v)
    z = net.dense(net.reshape(net.transpose(z, 0, 3, 1, 2), [1, h * w, c]), c, gain=BRANCH)
    y = net.op("Add", net.tokens(x), z)
    y = net.op("Add", y, net.feed_forward(net.layer_norm(y), 4 * c))
    return net.plane(y, h, w)


def tresnet(name: str, size: int) -> onnx.ModelProto:
    """SpaceToDepth for a stem, leaky slopes of 0.1 in basic blocks, gates in the middle."""
    net = ImageNet(name, act="leaky")
    x = net.input("image", (1, 3, size, size))
    x = net.op("SpaceToDepth", x, shape=(1, 48, size // 4, size // 4), blocksize=4)
    x = net.cba(x, 64, 3)
    for out, count, stride in ((64, 2, 1), (128, 3, 2), (256, 4, 2), (384, 2, 2)):
        for k in range(count):
            step = stride if k == 0 else 1
            y = net.cba(net.cba(x, out, 3, step), out, 3, act="", gain=BRANCH)
            y = net.squeeze_excite(y, out // 4) if out < 384 else y
            short = net.pool(x, 2, 2, "AveragePool") if step == 2 else x
            short = short if short.shape == y.shape else net.cba(short, out, act="", gain=0.7)
            x = net.act(net.op("Add", y, short), "leaky")
    return net.model(net.classify(x, 200))


def faces(name: str, size: int, batch: int) -> onnx.ModelProto:
    """An embedding of faces (IR-SE): BatchNormalization in front, PRelu inside, a Gemm over the flat plane, length one."""
    net = ImageNet(name, opset=11, act="prelu", folded=False)
    x = net.cba(net.input("face", (batch, 3, size, size)), 32, 3)
    for out, count in ((32, 2), (64, 3), (128, 4), (256, 2)):
        for k in range(count):
            stride = 2 if k == 0 else 1
            y = net.act(net.conv(net.batch_norm(x), out, 3, bias=False), "prelu")
            y = net.batch_norm(net.conv(y, out, 3, stride, bias=False, gain=BRANCH))
            short = net.pool(x, 1, stride) if x.shape[1] == out else net.batch_norm(net.conv(x, out, 1, stride, bias=False, gain=0.7))
            x = net.op("Add", y, short)
    x = net.batch_norm(x)
    flat = net.op("Flatten", x, shape=(batch, x.shape[1] * x.shape[2] * x.shape[3]), axis=1)
    y = net.linear(flat, 256)
    norm = net.op("ReduceL2", y, shape=(batch, 1), axes=[1], keepdims=1)
    return net.model(net.op("Div", y, norm), names=("embedding",))
