"""From an image to planes, points or an image, of the set that no class was settled with (../unseen.py): pspnet, bisenet, u2net …"""

from __future__ import annotations

import onnx

from ..image_net import ImageNet
from ..tensor import Tensor
from ..token_net import TokenNet
from .residual import BRANCH, basic


def pyramid(name: str, size: int, classes: int) -> onnx.ModelProto:
    """PSPNet: dilated stages, means over 1, 2, 4 and 8 parts a side, each up by a linear Resize, joined."""
    net = ImageNet(name)
    x = net.pool(net.cba(net.input("image", (1, 3, size, size)), 32, 3, 2), 3, 2, pad=1)
    for out, stride in ((48, 1), (96, 2)):
        x = basic(net, basic(net, x, out, stride), out, 1)
    for dilation in (2, 4):
        y = net.cba(net.cba(x, 96, 3, dilation=dilation), 96, 3, dilation=dilation, act="", gain=BRANCH)
        x = net.op("Relu", net.op("Add", x, y))
    side, parts = x.shape[2], [x]
    for count in (1, 2, 4, 8):
        cell = side // count
        y = net.cba(net.pool(x, cell, cell, "AveragePool"), 24)
        parts.append(net.resize(y, cell, "linear"))
    x = net.conv(net.cba(net.concat(*parts, axis=1), 64, 3), classes)
    return net.model(net.resize(x, 8, "linear"), names=("classes",))


def two_paths(name: str, height: int, width: int) -> onnx.ModelProto:
    """BiSeNet v2: a shallow path of 3x3, a deep one of depthwise blocks, one gating the other."""
    net = ImageNet(name)
    image = net.input("image", (1, 3, height, width))
    x = net.cba(net.cba(image, 32, 3, 2), 32, 3)
    x = net.cba(net.cba(x, 48, 3, 2), 48, 3)
    detail = net.cba(net.cba(x, 64, 3, 2), 64, 3)
    y = net.cba(image, 16, 3, 2)
    y = net.cba(net.concat(net.cba(net.cba(y, 8), 16, 3, 2), net.pool(y, 3, 2, pad=1), axis=1), 16, 3)
    for out, count in ((32, 2), (64, 2), (96, 3)):
        for k in range(count):
            z = net.cba(y, y.shape[1], 3)
            z = net.depthwise(net.conv(z, 6 * y.shape[1], 3, 2 if k == 0 else 1, group=y.shape[1]), 3, act="")
            z = net.cba(z, out, act="", gain=BRANCH)
            short = y if k else net.cba(net.depthwise(y, 3, 2, act=""), out, act="", gain=0.7)
            y = net.op("Relu", net.op("Add", z, short))
    y = net.cba(net.op("Add", y, net.cba(net.mean(y, [2, 3]), 96)), 64, 3)
    gate = net.op("Sigmoid", net.conv(net.depthwise(y, 3, act=""), 64))
    high = net.op("Mul", net.conv(net.depthwise(detail, 3, act=""), 64), net.resize(gate, 4))
    low = net.op("Mul", net.pool(net.cba(detail, 64, 3, 2, act=""), 3, 2, "AveragePool", pad=1), gate)
    both = net.cba(net.op("Add", high, net.resize(low, 4)), 64, 3)
    return net.model(net.resize(net.conv(both, 19), 8, "linear"), names=("classes",))


def nested(name: str, size: int) -> onnx.ModelProto:
    """U2-Net: a small U in place of every block, six masks up to full size, joined."""
    net = ImageNet(name, opset=13)
    x, kept = net.input("image", (1, 3, size, size)), []
    for out, depth in ((16, 4), (24, 3), (32, 2)):
        x = _small_u(net, x, out, depth)
        kept.append(x)
        x = net.pool(x, 2, 2)
    x = _small_u(net, x, 32, 1)
    masks = [x]
    for y in reversed(kept):
        x = _small_u(net, net.concat(net.resize(x, 2, "linear"), y, axis=1), y.shape[1], 2)
        masks.append(x)
    full = [net.conv(mask, 1, 3) for mask in masks]
    full = [mask if mask.shape[2] == size else net.resize(mask, size // mask.shape[2], "linear") for mask in full]
    return net.model(net.op("Sigmoid", net.conv(net.concat(*full, axis=1), 1)), names=("mask",))


def _small_u(net: ImageNet, x: Tensor, out: int, depth: int) -> Tensor:
    x = first = net.cba(x, out, 3)
    down = []
    for _ in range(depth):
        x = net.cba(x, out // 2, 3)
        down.append(x)
        x = net.pool(x, 2, 2)
    x = net.cba(x, out // 2, 3, dilation=2)
    for k, y in enumerate(reversed(down)):
        x = net.cba(net.concat(net.resize(x, 2, "linear"), y, axis=1), out if k == depth - 1 else out // 2, 3, gain=0.7)
    return net.op("Add", x, first)


def decoupled(name: str, size: int, width: int) -> onnx.ModelProto:
    """YOLOX: every other pixel joined for a stem, CSP stages, classes and boxes by two branches of 3x3 each."""
    net = ImageNet(name, act="silu")
    x = net.input("image", (1, 3, size, size))
    rows = [net.slice(x, 2, start, size, 2) for start in (0, 1)]
    x = net.cba(net.concat(*(net.slice(row, 3, start, size, 2) for start in (0, 1) for row in rows), axis=1), width, 3)
    kept = []
    for k, count in enumerate((1, 3, 3, 1)):
        x = net.cba(x, width << (k + 1), 3, 2)
        y, side = net.cba(x, x.shape[1] // 2), net.cba(x, x.shape[1] // 2)
        for _ in range(count):
            y = net.op("Add", y, net.cba(net.cba(y, y.shape[1]), y.shape[1], 3, gain=BRANCH))
        x = net.cba(net.concat(y, side, axis=1), x.shape[1])
        kept.append(x)
    found = []
    for plane in kept[1:]:
        y = net.cba(plane, 2 * width)
        classes = net.op("Sigmoid", net.conv(net.cba(net.cba(y, 2 * width, 3), 2 * width, 3), 80))
        boxes = net.cba(net.cba(y, 2 * width, 3), 2 * width, 3)
        parts = net.concat(net.conv(boxes, 4), net.op("Sigmoid", net.conv(boxes, 1)), classes, axis=1)
        found.append(net.reshape(parts, [1, 85, -1]))
    return net.model(net.transpose(net.concat(*found, axis=2), 0, 2, 1), names=("boxes",))


def center_points(name: str, size: int) -> onnx.ModelProto:
    """CenterNet: a small ResNet, three ConvTransposes up, three heads; peaks by a MaxPool that equals the plane."""
    net = ImageNet(name)
    x = net.pool(net.cba(net.input("image", (1, 3, size, size)), 64, 7, 2), 3, 2, pad=1)
    for out, stride in ((64, 1), (96, 2), (128, 2), (192, 2)):
        x = basic(net, x, out, stride)
    for out in (128, 96, 64):
        x = net.op("Relu", net.conv_transpose(x, out, 4, 2, 1))
    heat = net.op("Sigmoid", net.conv(net.cba(x, 64, 3), 20))
    top = net.op("MaxPool", heat, shape=heat.shape, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
    peaks = net.op("Mul", heat, net.op("Cast", net.op("Equal", heat, top), shape=heat.shape, to=1))
    others = [net.conv(net.cba(x, 64, 3), 2) for _ in range(2)]
    return net.model(peaks, *others, names=("peaks", "size", "offset"))


def part_fields(name: str, size: int) -> onnx.ModelProto:
    """OpenPose: 3x3 of a VGG, then stages of five 7x7 over features and what the stage before found."""
    net = ImageNet(name, opset=12)
    x = net.input("image", (1, 3, size, size))
    for width, count in ((32, 2), (64, 2), (128, 3)):
        for _ in range(count):
            x = net.cba(x, width, 3)
        x = net.pool(x, 2, 2)
    features = net.cba(x, 64, 3)
    found = net.conv(net.cba(net.cba(features, 64, 3), 128), 57, gain=0.5)
    for _ in range(2):
        y = net.concat(features, found, axis=1)
        for _ in range(5):
            y = net.cba(y, 64, 7)
        found = net.conv(net.cba(y, 64), 57, gain=0.5)
    return net.model(found, names=("fields",))


def denoiser(name: str, size: int, width: int, layers: int) -> onnx.ModelProto:
    """DnCNN: 3x3 on the full plane, layer after layer; the noise is taken off."""
    net = ImageNet(name, folded=False)
    image = net.input("noisy", (1, 1, size, size))
    x = net.op("Relu", net.conv(image, width, 3))
    for _ in range(layers):
        x = net.cba(x, width, 3)
    return net.model(net.op("Sub", image, net.conv(x, 1, 3, gain=0.3)), names=("clean",))


def latent_decoder(name: str, side: int, width: int) -> onnx.ModelProto:
    """The decoder of an image's latents: GroupNormalization by Reshape and InstanceNormalization, swish, one attention, nearest Resizes."""
    net = TokenNet(name, 17)
    x = net.conv(net.input("latent", (1, 4, side, side)), 2 * width, 3, gain=0.7)
    x = _swish_block(net, x, 2 * width)
    y = net.tokens(_groups(net, x))
    q, k, v = (net.dense(y, 2 * width) for _ in range(3))
    scores = net.op("Mul", net.matmul(q, net.transpose(k, 0, 2, 1)), net.number((2 * width) ** -0.5))
    y = net.dense(net.matmul(net.op("Softmax", scores, axis=-1), v), 2 * width, gain=BRANCH)
    x = net.op("Add", x, net.plane(y, side, side))
    for out in (2 * width, width, width // 2):
        x = net.conv(net.resize(_swish_block(net, x, out), 2), out, 3, gain=0.7)
    return net.model(net.conv(net.act(_groups(net, x), "silu"), 3, 3), names=("image",))


def _groups(net: TokenNet, x: Tensor, groups: int = 8) -> Tensor:
    n, c, h, w = x.shape
    y = net.reshape(x, [n, groups, -1])
    ones, zeros = net.uniform((groups,), 0.99, 1.01), net.normal((groups,), 0.01)
    y = net.reshape(net.op("InstanceNormalization", y, ones, zeros, shape=y.shape, epsilon=1e-6), [n, c, h, w])
    return net.op("Add", net.op("Mul", y, net.uniform((c, 1, 1), 0.8, 1.2)), net.normal((c, 1, 1), 0.05))


def _swish_block(net: TokenNet, x: Tensor, out: int) -> Tensor:
    y = net.conv(net.act(_groups(net, x), "silu"), out, 3)
    y = net.conv(net.act(_groups(net, y), "silu"), out, 3, gain=BRANCH)
    return net.op("Add", y, x if x.shape == y.shape else net.conv(x, out, gain=0.7))
