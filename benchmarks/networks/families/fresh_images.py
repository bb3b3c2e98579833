"""Classifiers on images and clips, of the first unseen set (../fresh.py): darknet, xception, dpn, levit, xcit …"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from ..token_net import TokenNet
from .residual import BRANCH, stem


def darknet53(name: str, size: int) -> onnx.ModelProto:
    """YOLOv3's backbone: 1x1 and 3x3 with LeakyRelu, their sum, a strided 3x3 in front of each stage."""
    net = ImageNet(name, act="leaky")
    x = net.cba(net.input("image", (1, 3, size, size)), 32, 3)
    for stage, count in enumerate((1, 2, 8, 8, 4)):
        x = net.cba(x, 64 << stage, 3, 2)
        for _ in range(count):
            x = net.op("Add", x, net.cba(net.cba(x, 32 << stage), 64 << stage, 3, gain=BRANCH))
    return net.model(net.classify(x))


def inception_resnet(name: str, size: int) -> onnx.ModelProto:
    """Inception-ResNet v2's three kinds of block (fewer of each), whose sums are scaled, and its two reductions."""
    net = ImageNet(name)
    x = net.input("input", (1, 3, size, size))
    x = net.pool(net.cba(net.cba(net.cba(x, 32, 3, 2, pads=[0] * 4), 32, 3, pads=[0] * 4), 64, 3), 3, 2)
    x = net.pool(net.cba(net.cba(x, 80), 192, 3, pads=[0] * 4), 3, 2)
    threes = net.cba(net.cba(net.cba(x, 64), 96, 3), 96, 3)
    averaged = net.cba(net.pool(x, 3, 1, "AveragePool", pad=1), 64)
    x = net.concat(net.cba(x, 96), net.cba(net.cba(x, 48), 64, 5), threes, averaged, axis=1)
    for _ in range(3):
        x = _scaled_sum(net, x, [(32,), (32, 32), (32, 48, 64)], ((), (3,), (3, 3)), 0.17)
    last = net.cba(net.cba(net.cba(x, 256), 256, 3), 384, 3, 2, pads=[0] * 4)
    x = net.concat(net.cba(x, 384, 3, 2, pads=[0] * 4), last, net.pool(x, 3, 2), axis=1)
    for _ in range(4):
        x = _scaled_sum(net, x, [(192,), (128, 160, 192)], ((), ((1, 7), (7, 1))), 0.1)
    branches = [net.cba(net.cba(x, 256), 384, 3, 2, pads=[0] * 4), net.cba(net.cba(x, 256), 288, 3, 2, pads=[0] * 4)]
    branches += [net.cba(net.cba(net.cba(x, 256), 288, 3), 320, 3, 2, pads=[0] * 4), net.pool(x, 3, 2)]
    x = _scaled_sum(net, net.concat(*branches, axis=1), [(192,), (192, 224, 256)], ((), ((1, 3), (3, 1))), 0.2)
    return net.model(net.classify(net.cba(x, 1536)))


def _scaled_sum(net: ImageNet, x: Tensor, widths: Sequence[Sequence[int]], kernels: Sequence[Sequence[int | tuple[int, int]]],
                scale: float) -> Tensor:  # fmt: skip
    branches = []
    for outs, sizes in zip(widths, kernels, strict=True):
        y = net.cba(x, outs[0])
        for out, kernel in zip(outs[1:], sizes, strict=True):
            y = net.cba(y, out, kernel)
        branches.append(y)
    y = net.conv(net.concat(*branches, axis=1), x.shape[1], gain=0.7)
    return net.op("Relu", net.op("Add", net.op("Mul", y, net.number(scale)), x))


def xception(name: str, size: int) -> onnx.ModelProto:
    """Depthwise 3x3 without an activation, then 1x1; Relu in front; MaxPool and a strided 1x1 shortcut where the plane shrinks."""
    net = ImageNet(name)
    x = net.cba(net.input("input", (1, 3, size, size)), 32, 3, 2, pads=[0] * 4)
    x = net.cba(x, 64, 3, pads=[0] * 4)
    for out in (128, 256, 728):
        y = _separable(net, x if out == 128 else net.op("Relu", x), out)
        y = net.pool(_separable(net, net.op("Relu", y), out), 3, 2, pad=1)
        x = net.op("Add", y, net.cba(x, out, 1, 2, act="", gain=0.7))
    for _ in range(4):
        y = x
        for k in range(3):
            y = _separable(net, net.op("Relu", y), 728, BRANCH if k == 2 else 1.4)
        x = net.op("Add", y, x)
    y = _separable(net, net.op("Relu", _separable(net, net.op("Relu", x), 728)), 1024)
    x = net.op("Add", net.pool(y, 3, 2, pad=1), net.cba(x, 1024, 1, 2, act="", gain=0.7))
    x = net.op("Relu", _separable(net, net.op("Relu", _separable(net, x, 1536)), 2048))
    return net.model(net.classify(x))


def _separable(net: ImageNet, x: Tensor, out: int, gain: float = 1.0) -> Tensor:
    y = net.conv(x, x.shape[1], 3, group=x.shape[1], bias=False, gain=0.7)
    return net.cba(y, out, act="", gain=gain)


def se_resnext(name: str, size: int) -> onnx.ModelProto:
    """SE-ResNeXt-50 (32 x 4d), by two blocks fewer: the gate stands in front of the sum."""
    net = ImageNet(name)
    x = stem(net, size)
    for stage, count in enumerate((3, 4, 4, 3)):
        for k in range(count):
            stride, inner, out = 2 if k == 0 and stage else 1, 128 << stage, 256 << stage
            y = net.cba(net.cba(net.cba(x, inner), inner, 3, stride, 32), out, act="", gain=BRANCH)
            y = net.squeeze_excite(y, out // 16)
            short = x if k else net.cba(x, out, 1, stride, act="", gain=0.7)
            x = net.op("Relu", net.op("Add", y, short))
    return net.model(net.classify(x))


def dual_path(name: str, size: int) -> onnx.ModelProto:
    """DPN-68: each block's output is cut in two, one part added to the stream and one joined to it; normalised in front."""
    net = ImageNet(name, folded=False)
    x = net.pool(net.cba(net.input("input", (1, 3, size, size)), 10, 3, 2), 3, 2, pad=1)
    kept, grown = x, None
    for stage, (count, inner, more) in enumerate(((3, 128, 16), (4, 256, 32), (12, 512, 32), (3, 1024, 64))):
        wide = 64 << stage
        for k in range(count):
            whole = kept if grown is None else net.concat(kept, grown, axis=1)
            stride = 2 if k == 0 and stage else 1
            y = net.op("Relu", net.batch_norm(whole))
            if k == 0:
                kept, grown = net.split(net.conv(y, wide + 2 * more, 1, stride, bias=False, gain=0.7), [wide, 2 * more], 1)
            y = net.conv(y, inner, bias=False)
            y = net.conv(net.op("Relu", net.batch_norm(y)), inner, 3, stride, group=32, bias=False)
            y = net.conv(net.op("Relu", net.batch_norm(y)), wide + more, bias=False, gain=BRANCH)
            added, joined = net.slice(y, 1, 0, wide), net.slice(y, 1, wide, wide + more)
            assert grown is not None
            kept, grown = net.op("Add", kept, added), net.concat(grown, joined, axis=1)
    assert grown is not None
    return net.model(net.classify(net.op("Relu", net.batch_norm(net.concat(kept, grown, axis=1)))))


def res2net(name: str, size: int) -> onnx.ModelProto:
    """Res2Net-50 (26w x 4s), two blocks a stage: a bottleneck's 3x3 in four parts, each added to the next one's input."""
    net = ImageNet(name)
    x = stem(net, size)
    for stage in range(4):
        for k in range(2):
            part, out, stride = 26 << stage, 256 << stage, 2 if k == 0 and stage else 1
            pieces = net.split(net.cba(x, 4 * part), [part] * 4, 1)
            found = [net.cba(pieces[0], part, 3, stride)]
            for piece in pieces[1:3]:
                found.append(net.cba(piece if k == 0 else net.op("Add", found[-1], piece), part, 3, stride))
            found.append(net.pool(pieces[3], 3, stride, "AveragePool", pad=1) if k == 0 else pieces[3])
            y = net.cba(net.concat(*found, axis=1), out, act="", gain=BRANCH)
            short = x if k else net.cba(x, out, 1, stride, act="", gain=0.7)
            x = net.op("Relu", net.op("Add", y, short))
    return net.model(net.classify(x))


def shufflenet_v1(name: str, size: int, groups: int = 3) -> onnx.ModelProto:
    """Grouped 1x1 convolutions with a shuffle between; where the plane shrinks, an AveragePool of the input is joined."""
    net = ImageNet(name)
    x = net.pool(net.cba(net.input("input", (1, 3, size, size)), 24, 3, 2), 3, 2, pad=1)
    for stage, count in enumerate((4, 8, 4)):
        out = 240 << stage
        for k in range(count):
            short = net.pool(x, 3, 2, "AveragePool", pad=1) if k == 0 else x
            mine = out - x.shape[1] if k == 0 else out
            y = net.shuffle(net.cba(x, out // 4, group=1 if x.shape[1] == 24 else groups), groups)
            y = net.depthwise(y, 3, 2 if k == 0 else 1, act="")
            y = net.cba(y, mine, group=groups, act="", gain=1.0 if k == 0 else BRANCH)
            x = net.op("Relu", net.concat(short, y, axis=1) if k == 0 else net.op("Add", y, short))
    return net.model(net.classify(x))


def mixnet(name: str, size: int) -> onnx.ModelProto:
    """MixNet's depthwise convolutions: channels in parts, each with a kernel of its own (3 to 9), squeeze-and-excite, SiLU."""
    net = ImageNet(name, act="silu")
    x = net.cba(net.input("input", (1, 3, size, size)), 16, 3, 2, act="relu")
    for out, count, kernels, stride in ((24, 2, (3,), 2), (40, 3, (3, 5, 7), 2), (80, 3, (3, 5, 7), 2), (120, 3, (3, 5, 7, 9), 1),
                                        (200, 3, (3, 5, 7, 9), 2)):  # fmt: skip
        for k in range(count):
            same, step = k > 0, 1 if k else stride
            parts = net.split(net.cba(x, 6 * x.shape[1]), [6 * x.shape[1] // len(kernels)] * len(kernels), 1)
            mixed = [net.depthwise(part, kernel, step) for part, kernel in zip(parts, kernels, strict=True)]
            y = net.concat(*mixed, axis=1) if len(mixed) > 1 else mixed[0]
            y = net.squeeze_excite(y, x.shape[1] // 2, "silu") if out > 24 else y
            y = net.cba(y, out, act="", gain=BRANCH if same else 0.7)
            x = net.op("Add", x, y) if same else y
    return net.model(net.classify(net.cba(x, 1536)))


def levit(name: str, size: int) -> onnx.ModelProto:
    """LeViT-128S: four strided 3x3, attention with short keys and stored biases on rows, HardSwish, queries on a coarser plane."""
    net = TokenNet(name, 17, act="hardswish")
    x = net.input("pixel_values", (1, 3, size, size))
    for k, width in enumerate((16, 32, 64, 128)):
        x = net.cba(x, width, 3, 2, act="hardswish" if k < 3 else "")
    side, x = x.shape[2], net.tokens(x)
    for stage, (width, heads, depth) in enumerate(((128, 4, 2), (256, 6, 3), (384, 8, 4))):
        if stage:
            x = _levit_attention(net, x, x.shape[-1] // 16, side, width, shrink=True)
            side = (side + 1) // 2
            x = net.op("Add", x, net.feed_forward(x, 2 * width))
        for _ in range(depth):
            x = net.op("Add", x, _levit_attention(net, x, heads, side, width))
            x = net.op("Add", x, net.feed_forward(x, 2 * width))
    return net.model(net.linear(net.mean(x, [1], keep=False), 1000), names=("logits",))


def _levit_attention(net: TokenNet, x: Tensor, heads: int, side: int, out: int, shrink: bool = False) -> Tensor:
    """Keys of 16, values of 32 (64 where the plane shrinks) a head."""
    length, deep, source = x.shape[1], 64 if shrink else 32, x
    if shrink:
        grid = net.reshape(x, [1, side, side, x.shape[-1]])
        grid = net.slice(net.slice(grid, 1, 0, side, 2), 2, 0, side, 2)
        source = net.reshape(grid, [1, -1, x.shape[-1]])
    kv = net.reshape(net.dense(x, heads * (16 + deep)), [1, length, heads, 16 + deep])
    k, v = net.split(kv, [16, deep], 3)
    q = net.transpose(net.reshape(net.dense(source, heads * 16), [1, source.shape[1], heads, 16]), 0, 2, 1, 3)
    scores = net.op("Mul", net.matmul(q, net.transpose(k, 0, 2, 3, 1)), net.number(0.25))
    scores = net.op("Add", scores, net.normal((1, heads, source.shape[1], length), 0.3))
    y = net.joined(net.matmul(net.op("Softmax", scores, axis=-1), net.transpose(v, 0, 2, 1, 3)))
    return net.dense(net.op("HardSwish", y), out, gain=BRANCH if not shrink else 1.0)


def xcit(name: str, size: int, width: int, layers: int) -> onnx.ModelProto:
    """Attention between channels instead of places (normalised q and k, a temperature), then two depthwise 3x3 on the plane."""
    net, heads = TokenNet(name, 17, epsilon=1e-6), width // 32
    x = net.input("pixel_values", (1, 3, size, size))
    for out in (width // 4, width // 2, width):
        x = net.cba(x, out, 3, 2, act="gelu")
    side, x = x.shape[2], net.tokens(net.cba(x, width, 3, 2, act=""))
    side //= 2
    for _ in range(layers):
        y = net.reshape(net.dense(net.layer_norm(x), 3 * width), [1, side * side, 3, heads, 32])
        y = net.transpose(y, 2, 0, 3, 4, 1)
        q, k, v = (net.gather(y, net.constant(np.array(part))) for part in range(3))
        q, k = (net.op("Div", t, net.op("ReduceL2", t, shape=(*t.shape[:-1], 1), axes=[-1], keepdims=1)) for t in (q, k))
        scores = net.op("Mul", net.matmul(q, net.transpose(k, 0, 1, 3, 2)), net.uniform((heads, 1, 1), 0.5, 2.0))
        y = net.transpose(net.matmul(net.op("Softmax", scores, axis=-1), v), 0, 3, 1, 2)
        y = net.dense(net.reshape(y, [1, side * side, width]), width, gain=BRANCH)
        x = net.op("Add", x, net.op("Mul", y, net.uniform((width,), 0.3, 1.0)))
        y = net.conv(net.plane(net.layer_norm(x), side, side), width, 3, group=width)
        y = net.tokens(net.conv(net.batch_norm(net.gelu(y)), width, 3, group=width))
        x = net.op("Add", x, net.op("Mul", y, net.uniform((width,), 0.2, 0.5)))
        y = net.feed_forward(net.layer_norm(x), 4 * width)
        x = net.op("Add", x, net.op("Mul", y, net.uniform((width,), 0.3, 1.0)))
    return net.model(net.linear(net.mean(net.layer_norm(x), [1], keep=False), 1000))


def gmlp(name: str, size: int, width: int, layers: int) -> onnx.ModelProto:
    """Half the channels gate the others after a dense layer over places; no attention."""
    net = TokenNet(name, 17)
    x = net.patches(net.input("image", (1, 3, size, size)), width, 16)
    for _ in range(layers):
        y = net.gelu(net.dense(net.layer_norm(x), 6 * width))
        left, right = net.split(y, [3 * width] * 2, 2)
        right = net.transpose(net.dense(net.transpose(net.layer_norm(right), 0, 2, 1), x.shape[1], gain=0.5), 0, 2, 1)
        x = net.op("Add", x, net.dense(net.op("Mul", left, right), width, gain=BRANCH))
    return net.model(net.linear(net.mean(net.layer_norm(x), [1], keep=False), 1000))


def video(name: str, frames: int, size: int, apart: bool) -> onnx.ModelProto:
    """3-D ResNet-18 on a clip, at half its width; apart: each 3x3x3 as 1x3x3 and 3x1x1, as R(2+1)D has it."""
    net = ImageNet(name)
    x = net.cba(net.input("clip", (1, 3, frames, size, size)), 32, (3, 7, 7), (1, 2, 2))

    def convolved(x: Tensor, out: int, stride: int, act: str | None = None, gain: float = 1.0) -> Tensor:
        if not apart:
            return net.cba(x, out, 3, stride, act=act, gain=gain)
        inner = 27 * x.shape[1] * out // (9 * x.shape[1] + 3 * out)
        return net.cba(net.cba(x, inner, (1, 3, 3), (1, stride, stride)), out, (3, 1, 1), (stride, 1, 1), act=act, gain=gain)

    for stage in range(4):
        for k in range(2):
            out, stride = 32 << stage, 2 if k == 0 and stage else 1
            y = convolved(convolved(x, out, stride), out, 1, "", BRANCH)
            short = x if y.shape == x.shape else net.cba(x, out, 1, stride, act="", gain=0.7)
            x = net.op("Relu", net.op("Add", y, short))
    return net.model(net.classify(x, 400))
